"""Each gradient method follows torch.optim when both are fed the same recorded gradients.

Recorded, because a closed loop is chaotic: there, the last bit of one step decides the path.
"""

import inspect

import numpy as np
import pytest

from zglearn import Objective, run
from zglearn import gradient_methods as ours
from zglearn.landscapes import bowl, ravine, rosenbrock

METHODS = [ours.gradient_descent, ours.momentum, ours.nesterov, ours.adagrad, ours.rmsprop,
           ours.adam, ours.adamw, ours.amsgrad]
STEPS, D = 1000, 12

# (our method, our hyperparameters, torch.optim's class, its hyperparameters)
PAIRS = [
    (ours.gradient_descent, dict(lr=0.01), "SGD", dict(lr=0.01)),
    (ours.gradient_descent, dict(lr=0.3), "SGD", dict(lr=0.3)),
    *[(method, dict(lr=lr, beta=beta), "SGD", dict(lr=lr, momentum=beta, nesterov=nesterov))
      for method, nesterov in ((ours.momentum, False), (ours.nesterov, True))
      for lr, beta in ((0.01, 0.9), (0.1, 0.5), (0.001, 0.99))],
    (ours.adagrad, dict(lr=0.01), "Adagrad", dict(lr=0.01)),
    (ours.adagrad, dict(lr=0.5, eps=1e-3), "Adagrad", dict(lr=0.5, eps=1e-3)),
    (ours.rmsprop, dict(lr=0.01), "RMSprop", dict(lr=0.01)),
    (ours.rmsprop, dict(lr=0.001, rho=0.9), "RMSprop", dict(lr=0.001, alpha=0.9)),
    (ours.rmsprop, dict(lr=0.01, eps=0.1), "RMSprop", dict(lr=0.01, eps=0.1)),
    *[(ours.rmsprop, dict(lr=0.01, rho=rho, eps=eps, centered=True),
       "RMSprop", dict(lr=0.01, alpha=rho, eps=eps, centered=True))
      for rho, eps in ((0.99, 1e-8), (0.9, 1e-3))],
    *[(method, dict(lr=lr, beta1=b1, beta2=b2, eps=eps, weight_decay=decay),
       name, dict(lr=lr, betas=(b1, b2), eps=eps, weight_decay=decay, **more))
      for method, name, more in ((ours.adam, "Adam", {}), (ours.adamw, "AdamW", {}),
                                 (ours.amsgrad, "Adam", dict(amsgrad=True)))
      for lr, b1, b2, eps, decay in ((0.001, 0.9, 0.999, 1e-8, 0.0), (0.1, 0.9, 0.999, 1e-8, 0.01),
                                     (0.01, 0.5, 0.9, 1e-8, 0.0), (0.01, 0.0, 0.99, 1e-8, 0.3),
                                     (0.01, 0.9, 0.999, 0.1, 0.1))],
    (ours.adam, dict(), "Adam", dict()),
    (ours.adamw, dict(), "AdamW", dict()),
    (ours.amsgrad, dict(), "Adam", dict(amsgrad=True)),
]


def recorded_gradients():
    """Drifting noise in sizes from 1e-5 to 10; one coordinate is mostly 0, another always.

    The drift stays below the noise: a centred RMSprop subtracts nearly equal numbers otherwise, and
    no two programs agree on the digits that are left.
    """
    rng = np.random.default_rng(0)
    g = (rng.normal(size=(STEPS, D)) + np.linspace(-0.5, 0.5, D)) * np.geomspace(1e-5, 10, D)
    g[:, 3] *= rng.random(STEPS) < 0.02
    g[:, 5] = 0
    return g


def playback(gradients):
    tape = iter(gradients)
    return Objective(lambda x: 0.0, lambda x: next(tape))


@pytest.mark.parametrize(("method", "hyper", "name", "torch_hyper"), PAIRS,
                         ids=lambda v: getattr(v, "__name__", None))
def test_follows_torch_for_a_thousand_steps(method, hyper, name, torch_hyper):
    torch = pytest.importorskip("torch", reason="the comparison needs PyTorch: pip install torch")
    gradients, x0 = recorded_gradients(), np.linspace(-1, 1, D)
    mine = run(method, playback(gradients), x0, steps=STEPS, **hyper).points[1:]

    p = torch.nn.Parameter(torch.tensor(x0))
    optimizer = getattr(torch.optim, name)([p], **torch_hyper)
    theirs = np.empty_like(mine)
    for t, g in enumerate(gradients):
        p.grad = torch.tensor(g)
        optimizer.step()
        theirs[t] = p.detach().numpy()
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)
    assert np.ptp(theirs, axis=0).max() > 0.1, "the path must go somewhere to compare anything"


@pytest.mark.parametrize(("method", "name"), [
    (ours.adagrad, "Adagrad"), (ours.rmsprop, "RMSprop"), (ours.adam, "Adam"),
    (ours.adamw, "AdamW")])
def test_defaults_of_eps_are_torchs(method, name):
    torch = pytest.importorskip("torch", reason="the comparison needs PyTorch: pip install torch")
    theirs = inspect.signature(getattr(torch.optim, name)).parameters["eps"].default
    assert inspect.signature(method).parameters["eps"].default == theirs


@pytest.mark.parametrize("method", METHODS)
def test_asks_one_gradient_a_step_and_no_loss(method):
    path = run(method, ravine().objective(), ravine().start, steps=7, lr=1e-3)
    np.testing.assert_array_equal(path.gradients, np.arange(8))
    np.testing.assert_array_equal(path.evaluations, 0)


@pytest.mark.parametrize(("method", "lr"), [
    (ours.gradient_descent, 0.1), (ours.momentum, 0.05), (ours.nesterov, 0.05),
    (ours.adagrad, 0.5), (ours.rmsprop, 0.001), (ours.adam, 0.02), (ours.adamw, 0.02),
    (ours.amsgrad, 0.02)])
def test_reaches_the_bottom_of_a_moved_and_turned_ravine(method, lr):
    valley = ravine(kappa=10, d=5).rotated(1).shifted(0.3)
    hyper = {"weight_decay": 0.0} if method is ours.adamw else {}
    path = run(method, valley.objective(), valley.start, steps=3000, lr=lr, **hyper)
    assert path.losses[-1] < 1e-4 < path.losses[0]


def polyak(x, gradient, steps, lr, beta):
    """Heavy ball as Polyak wrote it: the learning rate is inside, x_(t+1) - x_t is the velocity."""
    before, points = x, [x]
    for _ in range(steps):
        x, before = x - lr * gradient(x) + beta * (x - before), x
        points.append(x)
    return np.array(points)


def test_momentum_is_polyaks_heavy_ball():
    valley = ravine(kappa=30)
    path = run(ours.momentum, valley.objective(), valley.start, steps=100, lr=0.02, beta=0.8)
    np.testing.assert_allclose(
        path.points, polyak(valley.start, valley.grad, 100, 0.02, 0.8), atol=1e-12)


def test_nesterov_looks_ahead():
    """Sutskever's form: v <- beta v - lr grad(x + beta v); x <- x + v; ours yields x + beta v."""
    valley, lr, beta = ravine(kappa=30), 0.02, 0.8
    x, v, ahead = valley.start, np.zeros(2), [valley.start]
    for _ in range(100):
        v = beta * v - lr * valley.grad(x + beta * v)
        x = x + v
        ahead.append(x + beta * v)
    path = run(ours.nesterov, valley.objective(), valley.start, steps=100, lr=lr, beta=beta)
    np.testing.assert_allclose(path.points, ahead, atol=1e-12)


def test_the_best_heavy_ball_needs_the_root_of_the_condition_number():
    """On a quadratic the error shrinks by (k - 1)/(k + 1) a step, with k = kappa or its root."""
    kappa = 100
    valley = ravine(kappa)
    descent = run(ours.gradient_descent, valley.objective(), valley.start, steps=2000,
                  lr=2 / (1 + kappa))
    root = np.sqrt(kappa)
    ball = run(ours.momentum, valley.objective(), valley.start, steps=2000,
               lr=(2 / (1 + root)) ** 2, beta=((root - 1) / (root + 1)) ** 2)
    distance = 1e-6 * np.linalg.norm(valley.start)
    slow, fast = (int(np.argmax(np.linalg.norm(p.points, axis=1) < distance))
                  for p in (descent, ball))
    expected = np.log(1e-6) / np.log((kappa - 1) / (kappa + 1))
    assert abs(slow - expected) < 0.05 * expected
    assert fast < 1.6 * np.log(1e-6) / np.log((root - 1) / (root + 1)) < slow / 6


def test_a_steady_gradient_grows_the_velocity_by_one_over_one_minus_beta():
    f = Objective(lambda x: x.sum(), np.ones_like)
    path = run(ours.momentum, f, np.zeros(1), steps=300, lr=1.0, beta=0.9)
    np.testing.assert_allclose(np.diff(path.points[-2:], axis=0), -10, rtol=1e-9)


def test_adams_first_step_is_lr_in_every_coordinate():
    g = np.array([1e-4, -3.0, 2e5])
    path = run(ours.adam, Objective(lambda x: x @ g, lambda x: g), np.zeros(3), steps=1, lr=0.01)
    np.testing.assert_allclose(path.points[1], -0.01 * np.sign(g), rtol=1e-3)


@pytest.mark.parametrize("method", [ours.adagrad, ours.rmsprop, ours.adam, ours.amsgrad])
def test_rescaling_a_coordinate_does_not_change_the_step(method):
    """Invariance to diagonal rescaling of the gradient, up to eps (Kingma and Ba, section 1)."""
    gradients, scale = recorded_gradients()[:100], np.geomspace(1e-3, 1e3, D)
    hyper = dict(steps=100, lr=0.01, eps=0.0)
    gradients[:, 5] = 1.0  # 0 / 0 without eps
    gradients[:, 3] = 1.0
    plain = run(method, playback(gradients), np.zeros(D), **hyper)
    scaled = run(method, playback(gradients * scale), np.zeros(D), **hyper)
    np.testing.assert_allclose(plain.points, scaled.points, atol=1e-12)


def test_decoupled_decay_shrinks_where_l2_hardly_does():
    """Under Adam, L2 is divided by the noise of its coordinate; AdamW's decay is not."""
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(2000, 2)) * [1, 100]
    hyper = dict(steps=2000, lr=1e-3, weight_decay=0.1)
    decayed, l2 = (
        np.mean([run(method, playback(g * gradients), np.ones(2), **hyper).points[-1]
                 for g in (1, -1)], axis=0)  # both signs: the noise itself cancels
        for method in (ours.adamw, ours.adam))
    np.testing.assert_allclose(decayed, (1 - 1e-4) ** 2000, atol=0.02)
    assert l2[1] > 0.98 > l2[0] + 0.05


def test_amsgrad_goes_where_adam_does_not():
    """The counter-example of Reddi, Kale and Kumar: minimise x on [-1, 1] from rare big slopes."""
    def slope(t):
        return 1010.0 if t % 101 == 1 else -10.0

    def end(method):
        f = Objective(lambda x: float(x[0]), lambda x: np.array([slope(f.gradients)]))
        return run(method, f, [0.0], steps=10_000, lr=0.1, beta1=0.9, beta2=0.99).points[-1, 0]

    assert end(ours.adam) > 1 and end(ours.amsgrad) < -0.5


@pytest.mark.parametrize("method", METHODS)
def test_one_dimension_will_do(method):
    path = run(method, bowl(d=1).objective(), [1.0], steps=50, lr=0.05)
    assert path.losses[-1] < path.losses[0]


def test_a_path_that_runs_away_says_so():
    valley = rosenbrock()
    path = run(ours.gradient_descent, valley.objective(), valley.start, steps=1000, lr=1.0)
    assert path.stopped == "diverged" and len(path) < 20 and np.isfinite(path.points).all()
