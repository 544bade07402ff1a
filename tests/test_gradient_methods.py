"""Each gradient method follows torch.optim when both are fed the same recorded gradients.

Recorded, because a closed loop is chaotic: there, the last bit of one step decides the path.
"""

import inspect
import math

import numpy as np
import pytest
import scipy.linalg

from zglearn import Objective, run
from zglearn import gradient_methods as ours
from zglearn.factorization import nmf
from zglearn.landscapes import bowl, ravine, rosenbrock

METHODS = [ours.gradient_descent, ours.momentum, ours.nesterov, ours.adagrad, ours.rmsprop,
           ours.adam, ours.adamw, ours.amsgrad]
STEPS, D = 1000, 12
SHAPES = {"W": (4, 3), "V": (2, 5), "b": (2,)}  # tall, wide, and a vector

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


# --- signs and matrices ----------------------------------------------------------------------

def recorded_matrices(seed=0):
    """Drifting noise for SHAPES, with rows, columns and singular values of very different size."""
    rng = np.random.default_rng(seed)
    size = sum(map(math.prod, SHAPES.values()))
    return (rng.normal(size=(STEPS, size)) + rng.normal(size=size)) * np.geomspace(1e-3, 10, size)


def torch_parameters(torch, x0):
    ends = np.cumsum([math.prod(shape) for shape in SHAPES.values()])
    return [torch.nn.Parameter(torch.tensor(part.reshape(shape))) for part, shape in zip(
        np.split(x0, ends[:-1]), SHAPES.values(), strict=True)]


@pytest.mark.parametrize(("method", "hyper", "name", "torch_hyper"), [
    (ours.muon, dict(), "Muon", dict()),
    (ours.muon, dict(lr=0.02, beta=0.5, nesterov=False, rounds=3, weight_decay=0.0),
     "Muon", dict(lr=0.02, momentum=0.5, nesterov=False, ns_steps=3, weight_decay=0.0)),
    (ours.muon, dict(lr=0.1, beta=0.9, weight_decay=0.3),
     "Muon", dict(lr=0.1, momentum=0.9, weight_decay=0.3)),
    (ours.adafactor, dict(), "Adafactor", dict()),
    (ours.adafactor, dict(lr=0.1, beta2_decay=-0.5, eps1=1e-4, eps2=0.1, d=2.0, weight_decay=1.0),
     "Adafactor", dict(lr=0.1, beta2_decay=-0.5, eps=(1e-4, 0.1), d=2.0, weight_decay=1.0)),
], ids=lambda v: getattr(v, "__name__", None))
def test_matrix_methods_follow_torch_for_a_thousand_steps(method, hyper, name, torch_hyper,
                                                          monkeypatch):
    torch = pytest.importorskip("torch", reason="the comparison needs PyTorch: pip install torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # where Muon would round
    gradients = recorded_matrices()
    x0 = np.linspace(-1, 1, gradients.shape[1])
    if name == "Muon":
        monkeypatch.setitem(SHAPES, "b", (2, 1))  # it takes no vectors
    mine = run(method, playback(gradients), x0, steps=STEPS, shapes=SHAPES, **hyper).points[1:]

    parameters = torch_parameters(torch, x0)
    optimizer = getattr(torch.optim, name)(parameters, **torch_hyper)
    for t, g in enumerate(gradients):
        for p, G in zip(parameters, torch_parameters(torch, g), strict=True):
            p.grad = G.detach()
        optimizer.step()
        theirs = np.concatenate([p.detach().numpy().ravel() for p in parameters])
        np.testing.assert_allclose(mine[t], theirs, rtol=0, atol=1e-11)
    assert np.ptp(mine, axis=0).max() > 0.1


def test_defaults_of_the_matrix_methods_are_torchs():
    torch = pytest.importorskip("torch", reason="the comparison needs PyTorch: pip install torch")
    for method, name, names in (
            (ours.muon, "Muon", dict(lr="lr", beta="momentum", nesterov="nesterov",
                                     rounds="ns_steps", weight_decay="weight_decay")),
            (ours.adafactor, "Adafactor", dict(lr="lr", beta2_decay="beta2_decay", d="d",
                                               weight_decay="weight_decay"))):
        mine = inspect.signature(method).parameters
        theirs = inspect.signature(getattr(torch.optim, name)).parameters
        assert {a: mine[a].default for a in names} == {a: theirs[b].default
                                                      for a, b in names.items()}
    theirs = inspect.signature(torch.optim.Muon).parameters["ns_coefficients"].default
    assert theirs == ours.NEWTON_SCHULZ


def literal_lion(x, gradients, *, lr, beta1, beta2, weight_decay):
    """Algorithm 2 of Chen et al. (2023), a coordinate at a time."""
    for i in range(len(x)):
        m = 0.0
        for t, g in enumerate(gradients[:, i].tolist()):
            c = beta1 * m + (1 - beta1) * g
            x[i] -= lr * ((c > 0) - (c < 0) + weight_decay * x[i])
            m = beta2 * m + (1 - beta2) * g
            yield t, i, x[i]


@pytest.mark.parametrize("hyper", [dict(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0),
                                   dict(lr=0.01, beta1=0.5, beta2=0.8, weight_decay=0.2)])
def test_lion_is_that_of_the_paper(hyper):
    gradients, x0 = recorded_gradients(), np.linspace(-1, 1, D)
    path = run(ours.lion, playback(gradients), x0, steps=STEPS, **hyper)
    expected = np.empty((STEPS, D))
    for t, i, value in literal_lion(x0.copy(), gradients, **hyper):
        expected[t, i] = value
    np.testing.assert_allclose(path.points[1:], expected, rtol=0, atol=1e-11)


def literal_shampoo(W, gradients, lr, eps):
    """Algorithm 1 of Gupta, Koren and Singer (2018), with roots by Schur's method."""
    m, n = W.shape
    for t in range(1, len(gradients) + 1):
        past = gradients[:t]
        L = eps * np.eye(m) + np.einsum("tij,tkj->ik", past, past)
        R = eps * np.eye(n) + np.einsum("tji,tjk->ik", past, past)
        left, right = (scipy.linalg.fractional_matrix_power(A, -0.25).real for A in (L, R))
        W = W - lr * left @ past[-1] @ right
        yield W


def literal_soap(W, gradients, lr, beta1, beta2, eps, weight_decay, refresh):
    """Algorithm 3 of Vyas et al. (2024), with sums over the whole past in place of means."""
    m, n = W.shape
    QL, QR, V = np.eye(m), np.eye(n), np.zeros((m, n))
    for t in range(1, len(gradients) + 1):
        G = gradients[t - 1]
        age = np.arange(t)[::-1]
        M = np.tensordot((1 - beta1) * beta1**age, gradients[:t], 1)
        V = beta2 * V + (1 - beta2) * np.einsum("ia,ij,jb->ab", QL, G, QR) ** 2
        M_hat = np.einsum("ia,ij,jb->ab", QL, M, QR) / (1 - beta1**t)
        step = M_hat / (np.sqrt(V / (1 - beta2**t)) + eps)
        W = (1 - lr * weight_decay) * W - lr * np.einsum("ia,ab,jb->ij", QL, step, QR)
        weights = (1 - beta2) * beta2**age
        L = np.einsum("t,tij,tkj->ik", weights, gradients[:t], gradients[:t])
        R = np.einsum("t,tji,tjk->ik", weights, gradients[:t], gradients[:t])
        if t == 1:
            QL, QR = (np.linalg.svd(A)[0] for A in (L, R))
        elif t % refresh == 0:
            QL, QR = (scipy.linalg.qr(A @ Q)[0] for A, Q in ((L, QL), (R, QR)))
        yield W


@pytest.mark.parametrize(("method", "literal", "hyper"), [
    (ours.shampoo, literal_shampoo, dict(lr=0.01, eps=1e-3)),
    (ours.soap, literal_soap, dict(lr=3e-3, beta1=0.95, beta2=0.95, eps=1e-8, weight_decay=0.01,
                                   refresh=10)),
    (ours.soap, literal_soap, dict(lr=0.01, beta1=0.5, beta2=0.9, eps=1e-3, weight_decay=0.3,
                                   refresh=3))])
def test_shampoo_and_soap_are_those_of_their_papers(method, literal, hyper):
    rng = np.random.default_rng(3)
    gradients = rng.normal(size=(STEPS, 4, 3)) + np.diag([2, 1, 0.5, 0.1])[:, :3]
    W0 = rng.normal(size=(4, 3))
    path = run(method, playback(gradients.reshape(STEPS, -1)), W0.ravel(), steps=STEPS,
               shapes={"W": (4, 3)}, **hyper)
    for t, W in enumerate(literal(W0, gradients, **hyper), 1):
        np.testing.assert_allclose(path.points[t], W.ravel(), rtol=0, atol=1e-11)
    assert np.ptp(path.points, axis=0).max() > 0.1


def step(method, G, **hyper):
    """The first step from 0 on a gradient G, divided by -lr."""
    hyper = dict(shapes={"W": G.shape}, lr=0.5) | hyper
    path = run(method, playback([G.ravel()]), np.zeros(G.size), steps=1, **hyper)
    return path.points[1].reshape(G.shape) / -hyper["lr"]


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


@pytest.mark.parametrize("shape", [(6, 6), (8, 5), (5, 8), (7, 1)])
def test_one_step_of_shampoo_without_history_is_u_vt(shape):
    G = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(step(ours.shampoo, G), ours.polar_factor(G), atol=1e-8)
    np.testing.assert_allclose(step(ours.shampoo, 1000 * G), ours.polar_factor(G), atol=1e-8)


@pytest.mark.parametrize("shape", [(6, 6), (24, 10), (10, 24)])
def test_muons_step_has_singular_values_near_one_and_knows_no_scale_and_no_axes(shape):
    rng = np.random.default_rng(1)
    (m, n), S = shape, np.geomspace(1, 0.02, min(shape))
    U, V = orthogonal(rng, m)[:, :len(S)], orthogonal(rng, n)[:, :len(S)]
    G = (U * S) @ V.T
    width = math.sqrt(max(1, m / n))
    O = step(ours.muon, G) / width
    s = np.linalg.svd(O, compute_uv=False)
    assert 0.65 < s.min() and s.max() < 1.25
    assert abs(np.linalg.svd(step(ours.muon, G, rounds=1), compute_uv=False) - 1).max() > 0.5
    for scale in (1e-5, 1e5):
        np.testing.assert_allclose(step(ours.muon, scale * G) / width, O, atol=1e-9)
    A, B = orthogonal(rng, m), orthogonal(rng, n)
    np.testing.assert_allclose(step(ours.muon, A @ G @ B) / width, A @ O @ B, atol=1e-9)


def test_newton_schulz_converges_to_the_polar_factor_with_bjorcks_coefficients():
    G = np.random.default_rng(2).normal(size=(9, 6))
    near = ours.newton_schulz(G, 30, (15 / 8, -5 / 4, 3 / 8))
    np.testing.assert_allclose(near, ours.polar_factor(G), atol=1e-12)
    np.testing.assert_allclose(near.T @ near, np.eye(6), atol=1e-12)
    assert (ours.newton_schulz(np.zeros((2, 3))) == 0).all()


def test_an_inverse_root_is_one():
    A = np.diag([1.0, 16.0, 81.0])
    Q = orthogonal(np.random.default_rng(0), 3)
    root = ours.inverse_root(Q @ A @ Q.T, 4)
    np.testing.assert_allclose(root, Q @ np.diag([1, 1 / 2, 1 / 3]) @ Q.T, atol=1e-12)


def test_adafactors_second_moment_is_the_factorization_with_the_least_kl_divergence():
    """V = G² / step² is NMF of rank 1 under KL; the step is neither clipped nor small."""
    G = np.random.default_rng(0).lognormal(size=(7, 5))
    direction = step(ours.adafactor, G, lr=1.0, d=1e9, eps2=1.0)
    factors = nmf(G * G, 1, loss="kl", steps=50)
    np.testing.assert_allclose((G / direction) ** 2, factors.W @ factors.H, rtol=1e-9)


@pytest.mark.parametrize("method", [ours.sign_descent, ours.lion])
def test_signs_go_as_far_in_every_coordinate(method):
    gradients = recorded_gradients()
    path = run(method, playback(gradients), np.zeros(D), steps=200, lr=0.25)  # exact in binary
    moved = np.abs(np.diff(path.points, axis=0))
    assert (np.delete(moved, [3, 5], axis=1) == 0.25).all()
    assert (moved[:, 5] == 0).all()
    first = np.flatnonzero(gradients[:, 3])[0]
    still = (moved[first:, 3] == 0).any()  # where the gradient is 0 again
    assert still == (method is ours.sign_descent)  # Lion remembers


def test_sign_descent_is_adam_without_memory():
    gradients = recorded_gradients()[:, [0, 1, 2, 4, 6]]
    signs, adam = (run(method, playback(gradients), np.zeros(5), steps=100, lr=0.01, **hyper)
                   for method, hyper in ((ours.sign_descent, {}),
                                         (ours.adam, dict(beta1=0.0, beta2=0.0, eps=0.0))))
    np.testing.assert_allclose(signs.points, adam.points, atol=1e-12)


@pytest.mark.parametrize("method", [ours.adafactor, ours.shampoo, ours.soap, ours.muon])
def test_each_matrix_is_stepped_by_itself(method):
    """All together as each alone: nothing of one matrix leaks into another's step."""
    gradients = recorded_matrices()[:50]
    x0 = np.linspace(-1, 1, gradients.shape[1])
    together = run(method, playback(gradients), x0, steps=50, shapes=SHAPES, lr=0.01).points
    start = 0
    for name, shape in SHAPES.items():
        part = slice(start, start + math.prod(shape))
        alone = run(method, playback(gradients[:, part]), x0[part], steps=50, lr=0.01,
                    shapes={name: shape}).points
        np.testing.assert_array_equal(together[:, part], alone)
        start = part.stop


@pytest.mark.parametrize(("method", "lr"), [(ours.sign_descent, 0.01), (ours.lion, 0.005),
                                            (ours.adafactor, 0.05), (ours.shampoo, 0.5),
                                            (ours.soap, 0.02), (ours.muon, 0.02)])
def test_signs_and_matrix_methods_go_downhill(method, lr):
    """A least-squares problem in a 6 x 4 matrix whose columns of X are of very different size."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) * np.geomspace(0.1, 1, 6)
    target = rng.normal(size=(6, 4))
    f = Objective(lambda w: ((X @ (w.reshape(6, 4) - target)) ** 2).mean(),
                  lambda w: (X.T @ X @ (w.reshape(6, 4) - target)).ravel() / 80)
    hyper = {} if method in (ours.sign_descent, ours.lion) else dict(shapes={"W": (6, 4)})
    if method in (ours.soap, ours.muon):
        hyper["weight_decay"] = 0.0
    path = run(method, f, np.zeros(24), steps=1000, lr=lr, **hyper)
    assert path.losses[-1] < 0.05 * path.losses[0]


@pytest.mark.parametrize("method", [ours.adafactor, ours.shampoo, ours.soap, ours.muon])
@pytest.mark.parametrize(("options", "error", "message"), [
    (dict(), TypeError, "needs the shapes of the arrays in x: say shapes=model.shapes"),
    (dict(shapes={"W": (2, 5)}), ValueError, "the shapes are those of 10 parameters, but x has 12"),
    *[(dict(shapes=wrong), ValueError, "shapes must be a dictionary of shapes, such as model.sha")
      for wrong in (None, {}, (4, 3), [(4, 3)], {"W": 12}, {"W": [4, 3]}, {"W": (4, -3)},
                    {"W": (4, 3.0)}, {"W": ()})]])
def test_shapes_that_cannot_be_used_are_refused(method, options, error, message):
    with pytest.raises(error, match=message):
        run(method, playback(np.ones((3, 12))), np.zeros(12), steps=3, **options)
