"""GRPO against its formula and PyTorch; the reward of chapter 16 and its two methods."""

import math

import numpy as np
import pytest

from zglearn.models import Transformer
from zglearn.models.policy import advantages, grpo_weights, log_probabilities
from zglearn.runs import reward

MODEL = Transformer(11, context=7, width=8, heads=2, layers=2, dtype=float)


@pytest.fixture
def written():
    """Texts, their log-probabilities in two other models, advantages, and what counts."""
    rng = np.random.default_rng(5)
    p, q = MODEL.init(1), MODEL.init(1)
    p, q = p + 0.05 * rng.normal(size=p.size), q + 0.05 * rng.normal(size=q.size)
    X, y = rng.integers(11, size=(2, 4, 6))
    old, start = log_probabilities(MODEL, q, X, y), log_probabilities(MODEL, MODEL.init(1), X, y)
    counts = np.arange(6) < np.array([[6], [1], [4], [3]])
    return p, X, y, old, start, rng.normal(size=4), counts


def objective(new, old, start, A, counts, clip, beta):
    """Equation 3 of the paper, symbol by symbol."""
    total = 0.0
    for i in range(len(A)):
        symbols = [t for t in range(new.shape[1]) if counts[i, t]]
        for t in symbols:
            r, s = math.exp(new[i, t] - old[i, t]), math.exp(start[i, t] - new[i, t])
            surrogate = min(r * A[i], min(max(r, 1 - clip), 1 + clip) * A[i])
            total += (surrogate - beta * (s - math.log(s) - 1)) / len(symbols) / len(A)
    return total


@pytest.mark.parametrize("clip", [0.02, 0.2, 1e9])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_weighted_gradient_is_that_of_grpos_objective(written, clip, beta):
    p, X, y, old, start, A, counts = written

    def value(p):
        return objective(log_probabilities(MODEL, p, X, y), old, start, A, counts, clip, beta)

    w = grpo_weights(log_probabilities(MODEL, p, X, y), old, start, A, counts, clip=clip, beta=beta)
    _, g = MODEL.weighted_gradient(p, X, y, w)
    rng = np.random.default_rng(0)
    for _ in range(8):
        u, h = rng.normal(size=p.size), 1e-6
        slope = (value(p + h * u) - value(p - h * u)) / (2 * h)
        assert slope == pytest.approx(-g @ u, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("clip", [0.02, 0.2])
def test_the_weights_are_pytorchs(written, clip):
    torch = pytest.importorskip("torch")
    p, X, y, old, start, A, counts = written
    new = torch.tensor(log_probabilities(MODEL, p, X, y), requires_grad=True)
    ratio, log_s = torch.exp(new - torch.tensor(old)), torch.tensor(start) - new
    above = torch.tensor(A)[:, None]
    each = torch.minimum(ratio * above, ratio.clamp(1 - clip, 1 + clip) * above)
    each = (each - 0.04 * (log_s.exp() - log_s - 1)) * torch.tensor(counts)
    (each.sum(1) / torch.tensor(counts).sum(1)).mean().backward()
    ours = grpo_weights(new.detach().numpy(), old, start, A, counts, clip=clip)
    assert clip > 0.02 or (ours != grpo_weights(new.detach().numpy(), old, start, A, counts,
                                                clip=1e9)).any(), "nothing was clipped"
    np.testing.assert_allclose(ours, new.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_equal_weights_give_the_mean_loss_and_no_weight_leaves_a_symbol_out(written):
    p, X, y, *_ = written
    loss, g = MODEL.weighted_gradient(p, X, y, np.full(y.shape, 1 / y.size))
    expected, gradient = MODEL.loss_and_gradient(p, X, y)
    assert loss == pytest.approx(expected)
    np.testing.assert_allclose(g, gradient, atol=1e-14)
    first = np.zeros(y.shape)
    first[:, 0] = 1 / len(y)
    shorter = MODEL.gradient(p, X[:, :1], y[:, :1])
    np.testing.assert_allclose(MODEL.weighted_gradient(p, X, y, first)[1], shorter, atol=1e-14)
    with pytest.raises(ValueError, match="one weight for each symbol"):
        MODEL.weighted_gradient(p, X, y, np.ones(4))


def test_advantages_are_deviations_from_the_group():
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(3, 6))  # the mean of six times 0.1 is not 0.1
    rewards[1, :] = 0.1
    A = advantages(rewards)
    for group, above in zip(rewards, A, strict=True):
        if np.ptp(group):
            np.testing.assert_allclose(above * group.std() + group.mean(), group)
            assert np.mean(above**2) == pytest.approx(1)
        else:
            assert (above == 0).all()


@pytest.mark.parametrize(("part", "ended", "first", "mended"), [
    ("3, 4)", True, 1, 1), ("3, 4)", False, 0, 0), (")", True, 1, 0), ("3)", True, 1, 0),
    ("3, 3)", True, 1, 0), ("x, axis=0)", True, 1, 1), ("3, 4", True, 0, 0),
    ("3)[4, 5]", True, 1, 0), ("(3, 4))", True, 1, 0), ("f(3, 4))", True, 1, 0),
    (")  # a, b", True, 1, 0)])
def test_what_earns_a_reward(part, ended, first, mended):
    prompt = reward.SYMBOLS.encode("Examples\n>>> y = np.zeros(")
    answer = reward.SYMBOLS.encode(part + "\nmore(" * ended)
    assert reward.accepted(prompt, answer) == first
    assert reward.two_arguments(prompt, answer) == mended


def test_what_is_written_after_the_line_does_not_count():
    asked = np.zeros((3, reward.PROMPT), dtype=int)
    answers = np.full((3, reward.LENGTH), 40)
    answers[1, 2] = answers[1, 5] = answers[2, 0] = reward.ENDS[0]
    X, y, counts = reward.whole(asked, answers)
    assert X.shape == y.shape == counts.shape
    assert not counts[:, :-reward.LENGTH].any()
    assert counts.sum(axis=1).tolist() == [reward.LENGTH, 3, 1]
    assert (y[:, -reward.LENGTH:] == answers).all()


@pytest.mark.parametrize(("method", "settings"), [
    (reward.evolution, {"lr": 1.0, "sigma": 0.3}), (reward.grpo, {"lr": 0.02})])
def test_both_methods_write_more_of_what_is_rewarded(method, settings):
    model = Transformer(512, context=40, width=4, heads=1, layers=1)
    p0 = model.init(0)

    def share(Q, answers):
        return np.mean(answers < 256, axis=1)

    Q = np.random.default_rng(0).integers(512, size=(50, reward.PROMPT))
    steps = method(model, p0, Q, share, np.random.default_rng(1), **settings)
    for _ in range(8):
        p, texts = next(steps)
    assert texts == 8 * (240 if method is reward.evolution else 64)
    before, after = (share(Q, model.generate(q, 3, Q, reward.LENGTH)).mean() for q in (p0, p))
    assert after > before + 0.1
    assert reward.divergence(model, p0, p0, Q, model.generate(p0, 3, Q, reward.LENGTH)) == 0
