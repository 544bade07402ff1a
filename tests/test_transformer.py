"""The transformer: its formulas and their faster forms, what it may see, text, noise of rank one,
and that it is PyTorch's; how shipped models are trained."""

import math

import numpy as np
import pytest

from zglearn.models import Cloze, RankOneNoise, Transformer, sequences, train, transformer
from zglearn.models.flat import cross_entropies
from zglearn.models.transformer import (
    attention,
    attention_backward,
    fast_attention,
    fast_attention_backward,
    losses_in_place,
    norm_slope,
    rms_norm,
    rms_norm_backward,
)

MODEL = Transformer(11, context=7, width=8, heads=2, layers=2, dtype=float)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def example(rng, model=MODEL, sequences=3, positions=6):
    """Parameters and data; the positions are fewer than the context."""
    p = model.init(rng) + 0.1 * rng.normal(size=model.size)
    shape = sequences, positions
    return p, rng.integers(model.classes, size=shape), rng.integers(model.classes, size=shape)


# --- the formulas ----------------------------------------------------------------------------

def heads(rng, queries=5, keys=5):
    return (rng.normal(size=(2, 3, n, 4)) for n in (queries, keys, keys))


def test_attention_is_a_causal_mean_of_the_values(rng):
    Q, K, V = heads(rng)
    O, P = attention(Q, K, V)
    np.testing.assert_allclose(P.sum(axis=-1), 1)
    assert (np.triu(P, 1) == 0).all() and (P[..., 0, 0] == 1).all()
    q, k, v = Q[1, 2], K[1, 2], V[1, 2]
    for t in range(5):
        w = np.exp([q[t] @ k[s] / 2 for s in range(t + 1)])
        np.testing.assert_allclose(O[1, 2, t], w / w.sum() @ v[:t + 1])


def test_the_queries_of_attention_are_the_last_positions(rng):
    Q, K, V = heads(rng)
    np.testing.assert_allclose(attention(Q[..., 3:, :], K, V)[0], attention(Q, K, V)[0][..., 3:, :])


def test_attention_backward_agrees_with_central_differences(rng):
    arrays, h = list(heads(rng)), 1e-6
    dO = rng.normal(size=arrays[0].shape)
    _, P = attention(*arrays)
    for array, slope in zip(arrays, attention_backward(dO, *arrays, P), strict=True):
        for place in np.ndindex(array.shape):
            value, ends = array[place], []
            for array[place] in (value + h, value - h):
                ends.append((attention(*arrays)[0] * dO).sum())
            array[place] = value
            assert abs((ends[0] - ends[1]) / (2 * h) - slope[place]) < 1e-7


@pytest.mark.parametrize("chunk", [1, 1 << 17])
@pytest.mark.parametrize("size", [1, 1e3])  # scores far beyond what exp can hold as well
def test_the_fast_attention_is_that_of_the_paper(rng, monkeypatch, chunk, size):
    monkeypatch.setattr(transformer, "ATTENTION_CHUNK", chunk)
    QKV = rng.normal(size=(4, 9, 3, 2, 5))
    QKV[:, :, :2] *= math.sqrt(size)
    Q, K, V = QKV.copy().transpose(2, 0, 3, 1, 4)
    O, P = attention(Q, K, V)
    together = O.swapaxes(1, 2).reshape(36, 10)
    fast, *kept = fast_attention(QKV)
    np.testing.assert_allclose(fast, together, atol=1e-12)
    dO = rng.normal(size=O.shape)
    slopes = np.stack(attention_backward(dO, Q, K, V, P)).transpose(1, 3, 0, 2, 4)
    dO = dO.swapaxes(1, 2).reshape(36, 10)
    np.testing.assert_allclose(fast_attention_backward(dO, QKV, *kept, fast),
                               slopes.reshape(36, 30), atol=1e-9)


def test_the_norm_and_its_slope(rng):
    H, dN, h = rng.normal(size=(3, 6)), rng.normal(size=(3, 6)), 1e-6
    N, scale = rms_norm(H)
    np.testing.assert_allclose((N**2).mean(axis=-1), 1, rtol=1e-5)
    slope = rms_norm_backward(dN, N, scale)
    for place in np.ndindex(H.shape):
        step = np.zeros_like(H)
        step[place] = h
        ends = [(rms_norm(H + s)[0] * dN).sum() for s in (step, -step)]
        assert abs((ends[0] - ends[1]) / (2 * h) - slope[place]) < 1e-7
    np.testing.assert_allclose(norm_slope(dN, N.copy(), scale), slope)
    assert np.isfinite(rms_norm(np.zeros((1, 6)))[0]).all()


@pytest.mark.parametrize("size", [1, 30, 1e3, 1e30])
def test_losses_in_place_are_cross_entropies(rng, size):
    Z, y = size * rng.normal(size=(5, 8)), rng.integers(5, size=8)
    losses, total = losses_in_place(overwritten := Z.copy(), y)
    np.testing.assert_allclose(losses, cross_entropies(Z, y), atol=1e-12)
    P = np.exp(Z - Z.max(axis=0))
    np.testing.assert_allclose(overwritten / total, P / P.sum(axis=0), atol=1e-12)


# --- the model -------------------------------------------------------------------------------

def test_backpropagation_agrees_with_central_differences(rng):
    p, X, y = example(rng)
    h = 1e-6
    differences = [(MODEL.loss(p + h * e, X, y) - MODEL.loss(p - h * e, X, y)) / (2 * h)
                   for e in np.eye(MODEL.size)]
    np.testing.assert_allclose(MODEL.gradient(p, X, y), differences, atol=1e-7)


def test_the_slope_along_a_direction_is_the_gradient_times_it(rng):
    p, X, y = example(rng)
    u = rng.normal(size=MODEL.size)
    loss, slope = MODEL.jvp(p, u, X, y)
    np.testing.assert_allclose(loss, MODEL.loss(p, X, y))
    np.testing.assert_allclose(slope, MODEL.gradient(p, X, y) @ u, atol=1e-7)


def test_no_position_sees_a_later_symbol(rng):
    p, X, _ = example(rng)
    before = MODEL.probabilities(p, X)
    assert before.shape == (3, 6, 11)
    for t in range(6):
        changed = X.copy()
        changed[:, t] = (X[:, t] + 1) % 11
        after = MODEL.probabilities(p, changed)
        assert (after[:, :t] == before[:, :t]).all()
        assert (after[:, t:] != before[:, t:]).any(axis=-1).all()


def test_the_attention_weights_are_those_of_the_paper(rng):
    p, X, _ = example(rng)
    P = MODEL.attention_weights(p, X)
    assert P.shape == (2, 3, 2, 6, 6)
    np.testing.assert_allclose(P.sum(axis=-1), 1)
    E, pos, ((qkv, *_), _), *_ = MODEL.layers(p)
    Q, K, V = MODEL._split(rms_norm(E[X] + pos[:6])[0] @ qkv)
    np.testing.assert_allclose(P[0], attention(Q, K, V)[1])


def test_losses_are_means_over_all_positions(rng, monkeypatch):
    p, X, y = example(rng)
    q = MODEL.probabilities(p, X)
    np.testing.assert_allclose(q.sum(axis=-1), 1)
    right = np.take_along_axis(q, y[..., None], axis=-1)
    np.testing.assert_allclose(MODEL.loss(p, X, y), -np.log(right).mean())
    assert (MODEL.predict(p, X) == q.argmax(axis=-1)).all()
    assert MODEL.accuracy(p, X, y) == np.mean(q.argmax(axis=-1) == y)
    P = p + rng.normal(size=(4, MODEL.size))
    one_by_one = [MODEL.loss(r, X, y) for r in P]
    np.testing.assert_allclose(MODEL.loss(P, X, y), one_by_one, rtol=1e-12)
    monkeypatch.setattr("zglearn.models.flat.CHUNK", 1)  # one sequence at a time
    np.testing.assert_allclose(MODEL.loss(P, X, y), one_by_one, rtol=1e-12)
    assert (MODEL.predict(p, X) == q.argmax(axis=-1)).all()


def test_float32_is_close_to_float64(rng):
    p, X, y = example(rng)
    small = Transformer(11, context=7, width=8, heads=2, layers=2)
    loss, g = small.loss_and_gradient(p.astype(np.float16), X, y)
    assert small.init(rng).dtype == g.dtype == np.float32
    np.testing.assert_allclose(loss, MODEL.loss(p.astype(np.float16), X, y), rtol=1e-5)
    np.testing.assert_allclose(g, MODEL.gradient(p.astype(np.float16), X, y), atol=1e-5)


def test_extreme_parameters_stay_finite(rng):
    p, X, y = example(rng)
    for model in (MODEL, Transformer(11, context=7, width=8, heads=2, layers=2)):
        loss, g = model.loss_and_gradient(1e3 * p, X, y)
        assert np.isfinite(loss) and np.isfinite(g).all()


def test_it_is_the_model_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    p, X, y = example(rng)
    leaf = torch.tensor(p, requires_grad=True)
    pieces = {name: leaf[part].view(MODEL.shapes[name]) for name, part in MODEL.parts.items()}
    H = pieces["E"][torch.tensor(X)] + pieces["pos"][:6]
    for l in (1, 2):
        Q, K, V = ((f.rms_norm(H, (8,), eps=transformer.EPS) @ pieces[f"qkv{l}"])
                   .view(3, 6, 3, 2, 4).permute(2, 0, 3, 1, 4))
        O = f.scaled_dot_product_attention(Q, K, V, is_causal=True)
        H = H + O.transpose(1, 2).reshape(3, 6, 8) @ pieces[f"out{l}"]
        M = f.rms_norm(H, (8,), eps=transformer.EPS)
        H = H + torch.relu(M @ pieces[f"up{l}"]) ** 2 @ pieces[f"down{l}"]
    Z = f.rms_norm(H, (8,), eps=transformer.EPS) @ pieces["U"] + pieces["c"]
    loss = f.cross_entropy(Z.flatten(0, 1), torch.tensor(y).flatten())
    loss.backward()
    ours, g = MODEL.loss_and_gradient(p, X, y)
    np.testing.assert_allclose(ours, loss.item(), rtol=1e-12)
    np.testing.assert_allclose(g, leaf.grad.numpy(), atol=1e-12)


def test_it_learns_what_needs_attention(rng):
    """A symbol, some noise, and the same symbol again: who cannot look back must guess."""
    codes = rng.integers(1, 9, size=(300, 6))
    codes[:, 3], codes[:, 5] = 9, codes[:, 1]
    codes[:, 4] = 10
    model = Transformer(11, context=5, width=16, heads=2, layers=1)
    X, y = codes[:, :-1], codes[:, 1:]
    fit = train(model, "adam", (X[:250], y[:250]), lr=0.01, epochs=40, batch_size=25)
    assert (model.predict(fit.p, X[250:])[:, -1] == y[250:, -1]).mean() > 0.9
    assert fit.examples[-1] == 40 * 250


def test_sequences_are_pieces_of_the_text():
    codes = np.arange(10, dtype=np.uint16)
    X, y = sequences(codes, 3)
    assert X.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]] and (y == X + 1).all()
    assert sequences(codes, 3, stride=1)[0].shape == (7, 3) and np.shares_memory(X, codes)
    with pytest.raises(ValueError, match="more than 10"):
        sequences(codes, 10)


# --- text ------------------------------------------------------------------------------------

def test_generation_with_kept_keys_and_values_is_generation_without(rng):
    """Over several times the context: when it is full, the newer half is read again."""
    p, *_ = example(rng)
    text, start = [1, 2, 3], 0
    for _ in range(30):
        if len(text) - start > 7:
            start = len(text) - 3
        probabilities = MODEL.probabilities(p, np.array([text[start:]]))
        text.append(int(probabilities[0, -1].argmax()))
    assert MODEL.generate(p, rng, [1, 2, 3], 30, temperature=0).tolist() == text[3:]


def test_the_scores_of_the_next_symbol_are_those_of_the_whole(rng):
    p, X, _ = example(rng, positions=7)
    layers, cache = MODEL.layers(p), transformer._Cache(MODEL, 3)
    first, *rest = (MODEL._next(layers, part, cache) for part in
                    (X[:, :4], X[:, 4:5], X[:, 5:6], X[:, 6:]))
    whole = MODEL.logits(p, X).T.reshape(3, 7, 11)
    np.testing.assert_allclose(np.stack([first, *rest], axis=1), whole[:, 3:], rtol=1e-12)


def test_several_texts_are_continued_at_once(rng):
    p, *_ = example(rng)
    prompts = rng.integers(11, size=(4, 9))  # longer than the context
    texts = MODEL.generate(p, rng, prompts, 12, temperature=0)
    assert texts.shape == (4, 12)
    for prompt, text in zip(prompts, texts, strict=True):
        assert (MODEL.generate(p, rng, prompt, 12, temperature=0) == text).all()
    assert MODEL.generate(p, 0, [[], []], 5).shape == (2, 5)
    assert (MODEL.generate(p, 0, length=5) == MODEL.generate(p, 0, [0], 5)).all()
    assert MODEL.generate(p, 0, [1], 0).shape == (0,)


def test_sampling_follows_the_probabilities(rng):
    p, *_ = example(rng)
    draws = MODEL.generate(p, rng, np.tile([1, 2, 3], (4000, 1)), 1)[:, 0]
    q = MODEL.probabilities(p, np.array([[1, 2, 3]]))[0, -1]
    np.testing.assert_allclose(np.bincount(draws, minlength=11) / 4000, q, atol=0.03)


# --- the loss of one answer -----------------------------------------------------------------

CLOZE = Cloze([2, 5, 9], classes=11, context=7, width=8, heads=2, layers=2, dtype=float)


def question(rng):
    p, X, _ = example(rng, CLOZE, sequences=4)
    return p, X, rng.choice(CLOZE.answers, size=len(X))


def test_a_cloze_is_the_transformer_at_the_last_position_among_its_answers(rng):
    p, X, y = question(rng)
    allowed = MODEL.probabilities(p, X)[:, -1][:, CLOZE.answers]
    allowed /= allowed.sum(axis=1, keepdims=True)
    right = allowed[np.arange(len(y)), np.searchsorted(CLOZE.answers, y)]
    assert CLOZE.loss(p, X, y) == pytest.approx(-np.log(right).mean())
    assert (CLOZE.predict(p, X) == CLOZE.answers[allowed.argmax(axis=1)]).all()
    np.testing.assert_allclose(CLOZE.loss(np.stack([p, 2 * p]), X, y),
                               [CLOZE.loss(p, X, y), CLOZE.loss(2 * p, X, y)])


def test_the_gradient_of_a_cloze_agrees_with_central_differences(rng):
    p, X, y = question(rng)
    loss, g = CLOZE.loss_and_gradient(p, X, y)
    assert loss == pytest.approx(CLOZE.loss(p, X, y))
    for u in rng.normal(size=(5, p.size)):
        slope = (CLOZE.loss(p + 1e-6 * u, X, y) - CLOZE.loss(p - 1e-6 * u, X, y)) / 2e-6
        assert g @ u == pytest.approx(slope, rel=1e-7, abs=1e-8)
    assert (g[CLOZE.parts["c"]] != 0).sum() == len(CLOZE.answers)


def test_bad_clozes(rng):
    p, X, y = question(rng)
    with pytest.raises(ValueError, match=r"must hold the answers, \[2, 5, 9\]"):
        CLOZE.loss(p, X, np.full(len(X), 3))
    for answers in ([2], [2, 2], [3, 11], [-1, 3]):
        with pytest.raises(ValueError, match="two or more symbols from 0 to 10"):
            Cloze(answers, classes=11)


# --- noise of rank one -----------------------------------------------------------------------

@pytest.mark.parametrize("chunk", [1, 1 << 18])
def test_rank_one_noise_shares_the_products(rng, monkeypatch, chunk):
    monkeypatch.setattr("zglearn.models.rank_one.CHUNK", chunk)
    p, X, y = example(rng)
    noise = RankOneNoise(MODEL)
    Z = noise.draw(rng, 5)
    U = noise.directions(Z)
    assert Z.shape == (5, noise.size) and U.shape == (5, MODEL.size)
    np.testing.assert_allclose(noise.losses(p, Z, X, y, 0.1), MODEL.loss(p + 0.1 * U, X, y))
    own = rng.integers(11, size=(2, 5, 4, 6))
    one_by_one = [MODEL.loss(p + 0.1 * u, *data) for u, *data in zip(U, *own, strict=True)]
    np.testing.assert_allclose(noise.losses(p, Z, *own, 0.1), one_by_one)
    w = rng.normal(size=5)
    np.testing.assert_allclose(noise.combine(w, Z), w @ U)


def test_members_go_through_the_layers_together(rng, monkeypatch):
    """As many as the cache holds: twice as many if their sequences are half as long."""
    calls, states = [], MODEL.states
    monkeypatch.setattr(MODEL, "states", lambda *a: calls.append(a[1].shape[0]) or states(*a))
    monkeypatch.setattr("zglearn.models.rank_one.CHUNK", 8 * MODEL.activations)
    noise, (p, X, y) = RankOneNoise(MODEL), example(rng, sequences=4, positions=7)
    Z = noise.draw(rng, 8)
    noise.losses(p, Z, X, y, 0.1)
    assert calls == [2 * 4] * 4, "sequences in a call"
    calls.clear()
    noise.losses(p, Z, X[:, :3], y[:, :3], 0.1)
    assert calls == [4 * 4] * 2


def test_rank_one_noise_has_variance_one(rng):
    noise = RankOneNoise(MODEL)
    U = noise.directions(noise.draw(rng, 2000))
    for name, part in MODEL.parts.items():
        assert abs(U[:, part].mean()) < 0.1 and 0.9 < U[:, part].std() < 1.1
        rows = U[0, part].reshape(MODEL.shapes[name])
        assert rows.ndim == 1 or np.linalg.matrix_rank(rows) == 1


def test_bad_noise(rng):
    p, X, y = example(rng)
    noise = RankOneNoise(MODEL)
    Z = noise.draw(rng, 3)
    with pytest.raises(ValueError, match="as draw gives it"):
        noise.losses(p, Z[:, 1:], X, y, 0.1)
    with pytest.raises(ValueError, match="one weight for each of the 3 members"):
        noise.combine([1, 2], Z)
    with pytest.raises(ValueError, match=r"\(3, sequences, positions\)"):
        noise.losses(p, Z, np.zeros((2, 3, 6), int), np.zeros((2, 3, 6), int), 0.1)


# --- errors say what to do -------------------------------------------------------------------

def test_bad_models():
    with pytest.raises(ValueError, match="at least two classes"):
        Transformer(1)
    with pytest.raises(ValueError, match="3 heads cannot share a width of 64.*width=63"):
        Transformer(width=64, heads=3)


def test_bad_data(rng):
    p, X, y = example(rng)
    with pytest.raises(ValueError, match=r"at most 7 positions.*see sequences\(codes, 7\)"):
        MODEL.loss(p, np.zeros((2, 8), int), np.zeros((2, 8), int))
    for bad in (X[0], X / 2, X[:, :0]):
        with pytest.raises(ValueError, match=r"\(sequences, positions\)"):
            MODEL.predict(p, bad)
    for bad in (X + 1, X - 11):
        with pytest.raises(ValueError, match="symbols from 0 to 10"):
            MODEL.loss(p, bad, y)
    with pytest.raises(ValueError, match=r"each of the 18 symbols in X, but has shape \(3, 5\)"):
        MODEL.loss(p, X, y[:, 1:])
    with pytest.raises(ValueError, match="whole numbers from 0 to 10"):
        MODEL.gradient(p, X, y + 1)
    with pytest.raises(ValueError, match="temperature"):
        MODEL.generate(p, rng, temperature=-1)
    with pytest.raises(ValueError, match="prompt must hold symbols"):
        MODEL.generate(p, rng, [11])
    for bad in (np.zeros((1, 1, 1), int), [0.5], "text"):
        with pytest.raises(ValueError, match="prompts are whole numbers"):
            MODEL.generate(p, rng, bad)
