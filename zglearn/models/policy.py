"""GRPO, group relative policy optimization (Shao et al. 2024, *DeepSeekMath*, equations 3 and 4).

A language model writes a group of texts after each prompt, and something counts how good they are.
A text above the mean of its group becomes likelier, one below it less likely. `grpo_weights` says
how much each symbol of them counts; `Transformer.weighted_gradient` does the rest.
"""

from __future__ import annotations

import numpy as np

from .flat import cross_entropies


def advantages(rewards) -> np.ndarray:
    """How many standard deviations each reward lies above the mean of its group.

    ``rewards`` and the answer are (groups, texts). A group of equals has nothing to say: zeros.
    """
    rewards = np.asarray(rewards, dtype=float)
    above = rewards - rewards.mean(axis=-1, keepdims=True)
    differ = np.ptp(rewards, axis=-1, keepdims=True) > 0  # rounding gives equals a spread, too
    return np.divide(above, rewards.std(axis=-1, keepdims=True), out=np.zeros_like(above),
                     where=differ)


def log_probabilities(model, p, X, y) -> np.ndarray:
    """log p(y | the symbols of X up to there), in the shape of y."""
    X, y = model.check_data(X, y)
    return -cross_entropies(model.logits(model.cast_one(p), X), y.ravel()).reshape(y.shape)


def grpo_weights(new, old, start, advantage, counts, *, clip=0.2, beta=0.04) -> np.ndarray:
    """What each symbol's -log p is to be multiplied by: the sum over all of it falls along the
    gradient of GRPO's objective, which is to rise.

    The objective is, on average over the texts and, in each, over the symbols that count,

        min(r A, clip(r, 1 - clip, 1 + clip) A) - beta (s - log s - 1)

    with r = p / p_old, s = p_start / p and A the advantage. Its first part has no slope where the
    ratio has left the clip on the side to which A pushes. The second estimates the divergence
    KL(p, p_start), and is never negative.

    Parameters
    ----------
    new, old, start : arrays (texts, symbols)
        Log-probabilities of what was written: now, when it was written, in the start model.
    advantage : array (texts,)
    counts : bool array (texts, symbols)
        Which symbols belong to the text: one at least.
    clip, beta : float
    """
    A, ratio, s = np.asarray(advantage)[:, None], np.exp(new - old), np.exp(start - new)
    clipped = np.where(A > 0, ratio > 1 + clip, ratio < 1 - clip)
    slope = np.where(clipped, 0.0, ratio * A) - beta * (1 - s)
    return slope * counts / counts.sum(axis=1, keepdims=True) / len(counts)
