"""The ledger counts what was asked, and the objective refuses what makes no sense."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from zglearn import GradientForbidden, Objective


def square(x):
    return (x * x).sum(axis=-1)


def double(x):
    return 2 * x


def test_a_point_has_a_loss_and_a_population_has_losses():
    f = Objective(square, batched=True)
    assert f([1.0, 2.0]) == 5.0 and isinstance(f([1.0, 2.0]), float)
    np.testing.assert_array_equal(f(np.array([[1.0, 2.0], [0.0, 3.0]])), [5.0, 9.0])


def test_a_loss_that_takes_one_point_is_asked_row_by_row():
    shapes = []
    f = Objective(lambda x: shapes.append(x.shape) or float(x @ x))
    np.testing.assert_array_equal(f(np.eye(3)), [1, 1, 1])
    assert shapes == [(3,)] * 3 and f.evaluations == 3


def test_the_ledger_counts_points_and_a_gradient_costs_three():
    f = Objective(square, double, batched=True)
    f(np.zeros(4))
    f(np.zeros((5, 4)))
    f.grad(np.ones(4))
    f.peek(np.ones(4))
    f.peek(np.ones((7, 4)))
    assert (f.evaluations, f.gradients, f.forward_equivalents, f.examples) == (6, 1, 9, 0)


def test_an_objective_without_a_gradient_forbids_it():
    f = Objective(square)
    with pytest.raises(GradientForbidden, match="gradient_free_methods"):
        f.grad(np.ones(2))
    assert not f.has_gradient and f.gradients == 0
    assert Objective(square, double).has_gradient


def test_all_questions_of_a_step_share_a_batch_and_examples_are_counted():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    batches = itertools.cycle([(X[:4], y[:4]), (X[4:], y[4:])])
    f = Objective(lambda p, X, y: ((X @ p - y) ** 2).mean(),
                  lambda p, X, y: 2 * (X @ p - y) @ X / len(y), batches=batches)
    p = np.array([0.5, -1.0])
    first = ((X[:4] @ p - y[:4]) ** 2).mean()
    assert f(p) == f(p) == first
    f.next_batch()
    assert f(p) == ((X[4:] @ p - y[4:]) ** 2).mean() != first
    f.grad(p)
    f(np.stack([p, p, p]))
    assert f.examples == 4 + 4 + 6 + 6 + 3 * 6


def test_sparse_batches_are_counted():
    X, y = csr_array(np.eye(3)), np.arange(3.0)
    f = Objective(lambda w, X, y: np.mean((X @ w - y) ** 2), batches=itertools.repeat((X, y)))
    f(np.zeros(3))
    assert f.examples == 3


def test_batches_that_cannot_serve_are_refused():
    X = np.ones((3, 2))
    f = Objective(lambda p, X: (X @ p).sum(), batches=iter([(X,)]))
    with pytest.raises(ValueError, match="ran out"):
        f.next_batch()
    with pytest.raises(TypeError, match="tuple"):
        Objective(lambda p, X: (X @ p).sum(), batches=itertools.repeat(X))
    with pytest.raises(TypeError, match="iterator"):
        Objective(lambda p, X: (X @ p).sum(), batches=[(X,)])


@pytest.mark.parametrize(("x", "error", "words"), [
    (3.0, ValueError, "shape"),
    ([], ValueError, "shape"),
    (np.zeros((2, 0)), ValueError, "shape"),
    (np.zeros((2, 2, 2)), ValueError, "shape"),
    ([1j, 2], TypeError, "real numbers"),
    (["a", "b"], TypeError, "real numbers"),
    ([True, False], TypeError, "real numbers"),
])
def test_what_is_no_point_is_refused(x, error, words):
    f = Objective(square, double, batched=True)
    with pytest.raises(error, match=words):
        f(x)
    with pytest.raises(error, match=words):
        f.grad(x)
    assert f.forward_equivalents == 0


def test_the_gradient_is_asked_one_point_at_a_time():
    with pytest.raises(ValueError, match="one point at a time"):
        Objective(square, double).grad(np.ones((2, 3)))


def test_whole_numbers_become_floats_before_the_loss_sees_them():
    big = np.array([2**40, 1])
    assert Objective(square)(big) == 2.0**80 + 1


@pytest.mark.parametrize(("loss", "error", "words"), [
    (lambda x: None, TypeError, "return"),
    (lambda x: x, ValueError, "shape"),
    (lambda x: np.nan, ValueError, "nan"),
])
def test_a_loss_that_answers_nonsense_is_named(loss, error, words):
    with pytest.raises(error, match=words):
        Objective(loss)(np.ones(3))


def test_a_batched_loss_must_answer_every_point():
    f = Objective(lambda x: float(x.sum()), batched=True)
    with pytest.raises(ValueError, match=r"\(5,\)"):
        f(np.ones((5, 3)))


@pytest.mark.parametrize("wrong", [1j, "3", np.array(["3"]), np.datetime64("2026-01-01")])
def test_an_answer_that_is_no_real_number_is_refused(wrong):
    with pytest.raises(TypeError, match="the loss must be a real number"):
        Objective(lambda x: wrong)(np.ones(2))
    with pytest.raises(TypeError, match="the gradient must be a real number"):
        Objective(lambda x: 0.0, lambda x: np.full(2, wrong)).grad(np.ones(2))


def test_what_lies_under_a_mask_is_not_data():
    x = np.ma.masked_greater([1.0, 1e9], 10)
    f = Objective(lambda x: float(x @ x), lambda x: 2 * x)
    for asked in (f, f.grad, f.peek, Objective(lambda y: 0.0, lambda y: x).grad):
        with pytest.raises(ValueError, match=r"masked entries: fill .* x.filled\(value\)"):
            asked(x if asked in (f, f.grad, f.peek) else np.ones(2))
    assert f(np.ma.array([1.0, 2.0])) == 5, "a mask that masks nothing does no harm"


@pytest.mark.parametrize("form", [
    list, tuple, np.asfortranarray, lambda x: np.repeat(x, 2, axis=-1)[..., ::2], np.ma.array,
    lambda x: np.lib.stride_tricks.as_strided(x, writeable=False), np.longdouble, np.float16])
def test_points_of_any_form_have_the_same_losses(form):
    f = Objective(lambda x: (x * x).sum(axis=-1), lambda x: 2 * x, batched=True)
    X = np.array([[1.0, 2.0], [3.0, -4.0]])
    np.testing.assert_array_equal(f(form(X)), [5, 25])
    np.testing.assert_array_equal(f.peek(form(X)), [5, 25])
    np.testing.assert_array_equal(f.grad(form(X[0])), [2, 4])


def test_the_users_functions_get_points_of_their_own():
    def loss(x):
        x += 1
        return (x * x).sum(axis=-1)

    def grad(x):
        x *= 2
        return x

    x, X = np.ones(2), np.ones((3, 2))
    for f in (Objective(loss, grad), Objective(loss, grad, batched=True)):
        assert f(x) == f.peek(x) == 8
        np.testing.assert_array_equal(f(X), [8, 8, 8])
        np.testing.assert_array_equal(f.grad(x), [2, 2])
    assert (x == 1).all() and (X == 1).all()


def test_an_answer_does_not_change_when_the_function_writes_into_it_again():
    buffer = np.zeros(2)

    def fill(x):
        buffer[:] = x
        return buffer

    f = Objective(lambda X: fill(X[:, 0]), fill, batched=True)
    losses, g = f(np.array([[1.0, 0], [2, 0]])), f.grad(np.array([3.0, 4]))
    np.testing.assert_array_equal(losses, [1, 2])
    buffer[:] = np.nan
    np.testing.assert_array_equal(g, [3, 4])
    losses[:] = g[:] = 7
    assert np.isnan(buffer).all()


def test_infinity_is_a_loss():
    assert Objective(lambda x: np.inf)(np.ones(2)) == np.inf


@pytest.mark.parametrize(("grad", "error", "words"), [
    (lambda x: None, TypeError, "return"),
    (lambda x: x[:2], ValueError, "shape"),
    (lambda x: x.sum(), ValueError, "shape"),
    (lambda x: x * np.nan, ValueError, "nan where the loss is finite"),
])
def test_a_gradient_that_is_none_is_named(grad, error, words):
    with pytest.raises(error, match=words):
        Objective(square, grad).grad(np.ones(3))


def test_a_nan_gradient_of_an_infinite_loss_is_divergence_not_a_mistake():
    f = Objective(lambda x: np.inf, lambda x: x * np.nan)
    assert np.isnan(f.grad(np.ones(2))).all()


def test_the_gradient_has_the_precision_of_the_point():
    f = Objective(square, lambda x: 2 * x.astype(float))
    assert f.grad(np.ones(2, np.float32)).dtype == np.float32
    assert f.grad(np.ones(2)).dtype == np.float64


@pytest.mark.parametrize("wrong", [None, 3.0, "x**2"])
def test_loss_and_gradient_are_functions(wrong):
    with pytest.raises(TypeError, match="function"):
        Objective(wrong)
    if wrong is not None:
        with pytest.raises(TypeError, match="function"):
            Objective(square, wrong)
