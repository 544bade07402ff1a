"""What the cuts of chapter 12 do to a matrix, and what they count."""

import numpy as np
import pytest

from zglearn.compression import (
    INNER,
    by_bits,
    by_bits_in_turn,
    by_bits_with_some_apart,
    by_entries,
    by_rank,
    compressed,
    damped,
    even_levels,
    gptq,
    gram,
    layer_inputs,
    low_rank,
    nearest,
    normal_levels,
    pruned,
    rounded,
    stored_bits,
    weights,
    with_updates,
)
from zglearn.models import Transformer
from zglearn.models.transformer import attention, rms_norm
from zglearn.runs import compression as runs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def correlated(rng):
    """Inputs A (200, 12) and a matrix W (12, 7)."""
    return rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12)), rng.normal(size=(12, 7))


@pytest.fixture
def model():
    return Transformer(classes=20, context=8, width=12, heads=3, layers=2, dtype=float)


def test_the_inputs_are_what_the_matrices_are_multiplied_with(model, rng):
    p, X = model.init(0), rng.integers(20, size=(5, 8))
    A, W = layer_inputs(model, p, X), weights(model, p)
    assert list(A) == list(W)
    assert {name.rstrip("12") for name in W} == set(INNER)
    E, pos, *_ = model.layers(p)
    H = E[X] + pos
    for l in "12":
        np.testing.assert_allclose(A["qkv" + l], rms_norm(H)[0].reshape(-1, 12))
        Q, K, V = model._split(rms_norm(H)[0] @ W["qkv" + l])
        O = attention(Q, K, V)[0].swapaxes(1, 2).reshape(-1, 12)
        np.testing.assert_allclose(A["out" + l], O)
        H = H + (O @ W["out" + l]).reshape(H.shape)
        M = rms_norm(H)[0]
        np.testing.assert_allclose(A["up" + l], M.reshape(-1, 12))
        R = np.maximum(M @ W["up" + l], 0)**2
        np.testing.assert_allclose(A["down" + l], R.reshape(-1, 48))
        H = H + R @ W["down" + l]


def test_compressed_changes_the_inner_matrices_and_adds_up_their_bits(model):
    p = model.init(0)
    q, bits = compressed(model, p, lambda name, W: (0 * W, 3))
    assert bits == 3 * 8
    changed = {name for name, part in model.parts.items() if not np.array_equal(p[part], q[part])}
    assert changed == set(weights(model, p))
    assert not any(q[model.parts[name]].any() for name in changed)


def test_whitening_keeps_the_outputs_and_plain_truncation_the_weights(correlated):
    A, W = correlated
    plain, white = (np.matmul(*low_rank(W, 3, G)) for G in (None, gram(A)))
    S = np.linalg.cholesky(damped(gram(A)))
    left = np.linalg.svd(S.T @ W, compute_uv=False)[3:]
    np.testing.assert_allclose(np.sum((S.T @ (W - white))**2), np.sum(left**2))
    assert np.linalg.matrix_rank(white) == np.linalg.matrix_rank(plain) == 3
    assert np.linalg.norm(W - plain) < np.linalg.norm(W - white)
    assert np.linalg.norm(A @ (W - white)) < np.linalg.norm(A @ (W - plain))


def test_pruning_takes_the_smallest_and_with_inputs_in_each_column_alike(rng):
    W = rng.normal(size=(10, 6))
    by_size = pruned(W, 0.3)
    assert np.abs(by_size[by_size != 0]).min() > np.abs(W[by_size == 0]).max()
    assert np.sum(by_size == 0) == 18
    norms = np.arange(1, 11)
    with_inputs = pruned(W, 0.3, np.diag(norms**2.0))
    for w, v in zip(W.T, with_inputs.T, strict=True):
        out = v == 0
        assert out.sum() == 3
        assert (np.abs(w) * norms)[out].max() < (np.abs(w) * norms)[~out].min()


def test_rounding_is_off_by_half_a_level_of_its_own_group(rng):
    W = rng.normal(size=(10, 4)) * np.geomspace(0.01, 10, 10)[:, None]
    Q = rounded(W, even_levels(4), group=4)
    for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
        half = np.abs(W[rows]).max(axis=0) / 14
        assert (np.abs(W[rows] - Q[rows]) <= 1.05 * half).all()  # scales are in half precision
    assert not rounded(np.zeros((3, 2)), even_levels(4)).any()


def test_nearest_is_nearest(rng):
    levels, X = normal_levels(), rng.uniform(-1.2, 1.2, size=500)
    want = levels[np.argmin(np.abs(X[:, None] - levels), axis=1)]
    np.testing.assert_array_equal(nearest(X, levels), want)


def test_the_levels_of_nf4_are_those_of_the_paper():
    # Dettmers et al. (2023), appendix E
    paper = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0,
             0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
    np.testing.assert_allclose(normal_levels(), paper, atol=1e-5)


@pytest.mark.parametrize("group", [None, 5])
def test_gptq_is_rounding_if_inputs_are_not_correlated(group, correlated):
    A, W = correlated
    G = np.diag(np.diag(gram(A)))
    np.testing.assert_allclose(gptq(W, G, even_levels(3), group), rounded(W, even_levels(3), group))


def test_gptq_solves_for_the_rows_to_come_and_keeps_the_outputs(correlated):
    A, W = correlated
    G, levels = gram(A), even_levels(3)
    H, by_hand = damped(G), W.copy()
    scale = np.abs(W).max(axis=0).astype(np.float16).astype(float)
    for i in range(len(W)):
        moved = nearest(by_hand[i] / scale, levels) * scale - by_hand[i]
        by_hand[i] += moved
        by_hand[i + 1:] -= np.outer(np.linalg.solve(H[i + 1:, i + 1:], H[i + 1:, i]), moved)
    Q = gptq(W, G, levels)
    np.testing.assert_allclose(Q, by_hand)
    assert np.linalg.norm(A @ (W - Q)) < np.linalg.norm(A @ (W - rounded(W, levels)))


def test_in_turn_each_matrix_sees_the_inputs_of_the_model_as_it_is_rounded_so_far(model, rng):
    p, X, levels = model.init(0), rng.integers(20, size=(40, 8)), even_levels(3)
    q, bits = compressed(model, p, by_bits_in_turn(levels, 6, model, p, X))
    so_far = p.copy()
    for name, W in weights(model, p).items():
        G = gram(layer_inputs(model, so_far, X)[name])
        so_far[model.parts[name]] = gptq(W, G, levels, 6).ravel()
    np.testing.assert_array_equal(q, so_far)
    G = {name: gram(A) for name, A in layer_inputs(model, p, X).items()}
    at_once, same_bits = compressed(model, p, by_bits(levels, 6, G))
    changed = {name for name, part in model.parts.items() if (q[part] != at_once[part]).any()}
    assert bits == same_bits
    assert changed == set(weights(model, p)) - {"qkv1"}  # which nothing comes before


def test_updates_are_cut_in_the_inner_matrices_alone(model, rng):
    p = model.init(0)
    tuned = p + 0.1 * rng.normal(size=p.size)
    none, two, same = with_updates(model, p, tuned, [lambda s: 0 * s, lambda s: s * (s >= s[1]),
                                                     lambda s: s])
    np.testing.assert_allclose(same, tuned)
    inner = weights(model, tuned)
    for name, part in model.parts.items():
        if name in inner:
            np.testing.assert_allclose(none[part], p[part])
            nearest = np.matmul(*low_rank(inner[name] - weights(model, p)[name], 2))
            np.testing.assert_allclose((two - p)[part], nearest.ravel(), atol=1e-12)
        else:
            assert (none[part] == tuned[part]).all() and (two[part] == tuned[part]).all()


def test_what_is_stored_is_counted(rng):
    W = rng.normal(size=(10, 6))
    assert stored_bits(W) == 16 * 60
    assert stored_bits(pruned(W, 0.5)) == 16 * 30 + 60
    assert stored_bits(W, 4) == 4 * 60 + 16 * 6
    assert stored_bits(W, 4, 4) == 4 * 60 + 16 * 3 * 6
    assert stored_bits(W, 4, "all") == 4 * 60 + 16
    assert by_rank(0.9)("", W)[1] == 16 * 3 * 16
    assert by_entries(0.5)("", W)[1] == 16 * 30 + 60
    for levels in (even_levels(4), normal_levels()):
        assert by_bits(levels, 5)("", W)[1] == 4 * 60 + 16 * 2 * 6
    some = by_bits_with_some_apart(0.1, even_levels(4))("", W)
    assert some[1] == 4 * 60 + 16 + 32 * 6
    assert np.sum(some[0] == W) >= 6


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_a_distilled_gradient_is_that_of_the_cross_entropy_with_mixed_targets(mix, model, rng,
                                                                              monkeypatch):
    p, X, y = model.init(0), rng.integers(20, size=(3, 8)), rng.integers(20, size=(3, 8))
    logits = 3 * rng.normal(size=(20, 24))
    monkeypatch.setattr(runs, "teacher", lambda X: logits.copy())
    target = mix * np.exp(logits) / np.exp(logits).sum(axis=0)
    target[y.ravel(), np.arange(24)] += 1 - mix

    def loss(p):
        Z = model.logits(p, X)
        return np.mean(np.log(np.exp(Z).sum(axis=0)) - np.sum(target * Z, axis=0))

    g, u = runs.gradient(model, p, X, y, mix), rng.normal(size=p.size)
    slope = (loss(p + 1e-6 * u) - loss(p - 1e-6 * u)) / 2e-6
    np.testing.assert_allclose(g @ u, slope, rtol=1e-5)
    for name, part in model.parts.items():  # one that is left out would hardly show in the sum
        v = np.where(np.arange(p.size) == part.start + np.argmax(np.abs(g[part])), 1e-5, 0)
        np.testing.assert_allclose(g @ v, (loss(p + v) - loss(p - v)) / 2, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_lora_and_galore_lower_a_quadratic_in_place_and_within_their_rank(shape, rng):
    goal = rng.normal(size=shape)
    for way, directions in ((runs.LoRA, 2), (runs.GaLore, 2)):
        W = np.zeros(shape)
        step = way(W, 2, 0)
        for t in range(1, 25):
            step(W - goal, t, 0.05)
        assert np.linalg.norm(W - goal) < 0.97 * np.linalg.norm(goal)
        assert np.linalg.matrix_rank(W, tol=1e-9) == directions
