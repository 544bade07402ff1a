import numpy as np
import pytest
from scipy.sparse import csr_array

from zglearn.models import SoftmaxRegression


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(3, size=40)
    return SoftmaxRegression(5, 3, ridge=0.1), X, y, rng.normal(size=15)


def test_gradient_agrees_with_central_differences(task):
    model, X, y, p = task
    h = 1e-6
    differences = [(model.loss(p + h * e, X, y) - model.loss(p - h * e, X, y)) / (2 * h)
                   for e in np.eye(model.size)]
    np.testing.assert_allclose(model.gradient(p, X, y), differences, atol=1e-8)


def test_sparse_input_gives_the_same_numbers(task):
    model, X, y, p = task
    S = csr_array(X)
    assert model.loss(p, S, y) == pytest.approx(model.loss(p, X, y), rel=1e-14)
    np.testing.assert_allclose(model.gradient(p, S, y), model.gradient(p, X, y), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(p, S), model.predict(p, X))


def test_minimum_agrees_with_scikit_learn(task):
    from scipy.optimize import minimize
    from sklearn.linear_model import LogisticRegression

    model, X, y, _ = task
    f = model.objective(X, y)
    best = minimize(f, model.init(), jac=f.grad, options={"gtol": 1e-9}).x
    peer = LogisticRegression(C=1 / (0.1 * len(y)), fit_intercept=False, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.probabilities(best, X), peer.predict_proba(X), atol=1e-5)


def test_the_start_is_uniform(task):
    model, X, y, _ = task
    assert model.loss(model.init(), X, y) == pytest.approx(np.log(3))
