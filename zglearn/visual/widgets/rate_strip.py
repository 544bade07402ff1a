"""The rate strip: the learning rate that an adaptive method leaves to each feature, in time."""

from __future__ import annotations

import functools

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, part, positions

MOMENTS = 80  # of the run, so many are shown
RANKS = 400  # places, even in the logarithm of the rank, at which a feature is drawn
RHO = 0.99
ROUNDING = 1e-12  # squares smaller than this share of the largest one count as no gradient


def rate_strip(squares, counts, names, *, alt=""):
    """A widget: frequency against effective learning rate, feature by feature, as training goes on.

    Parameters
    ----------
    squares : array (steps, features)
        The squared gradients of one weight of each feature, recorded step by step.
    counts : array (features,)
        In how many examples a feature occurs. One without any gradient is left out.
    names : list of features
    """
    squares, counts = np.asarray(squares, dtype=float), np.asarray(counts)
    squares = np.where(squares > ROUNDING * squares.max(), squares, 0)
    falling = np.argsort(-counts, kind="stable")
    falling = falling[squares[:, falling].any(axis=0)]
    some = falling[np.unique(np.geomspace(1, len(falling), RANKS).astype(int)) - 1]
    moments = np.unique(np.linspace(1, len(squares), MOMENTS).astype(int))
    times = np.cumsum(squares[:, some] > 0, axis=0)[moments - 1]  # gradients so far
    tenth = max(1, len(some) // 10)

    @functools.cache
    def rates(rule):
        """1 / √G at the moments, for each feature drawn; nan before its first gradient."""
        G = RULES[rule](squares)[moments - 1][:, some]
        return 1 / np.sqrt(np.where(times > 0, G, np.nan))

    def strip(rule):
        rate = rates(rule)
        often, seldom = np.median(rate[-1][:tenth]), np.median(rate[-1][-tenth:])
        return [
            draw.clock(moments),
            draw.frames("now", np.broadcast_to(counts[some], rate.shape), rate, mark="dots",
                        label="a word"),
            draw.heat("strip", np.log10(rate), (0, 1, len(some), len(squares)),
                      label="log₁₀ (rate ÷ lr)"),
            draw.status(f"At the end the rarest words shown have {seldom / often:.3g} times the "
                        "rate of the most frequent ones (medians of a tenth).")]

    def one(rule, word):
        rate, j = rates(rule)[:, word - 1], some[word - 1]
        came = np.diff(times[:, word - 1], prepend=0) > 0
        label = f"“{names[j]}”, in {counts[j]:,}"
        place = np.full((len(moments), 1), counts[j])
        return [draw.frames("now", place, rate[:, None], mark="crosses", colour=1, label=label),
                draw.line("one", moments, rate, colour=1, label=label, timed=True),
                draw.dots("one", moments[came], rate[came], colour=1, label="it had a gradient")]

    return Widget(
        "The rate strip: who gets which learning rate", timed=True,
        panels=[draw.Panel("now", "each word's rate ÷ lr, that is 1 ÷ √G", "texts with the word",
                           log="xy", span=7, height=300),
                draw.Panel("one", "one word's, in time", "step", "rate ÷ lr", log="y", span=5,
                           height=300),
                draw.Panel("strip", "the strip: all words at all steps",
                           "words shown, the most frequent first", "step", span=12, height=190)],
        controls=[choice("rule", "G is", RULES),
                  positions("word", "word no.", range(1, len(some) + 1),
                            len(some) // 2 + 1)],
        parts=[part(strip), part(one)],
        alt=alt or ("Each word's effective learning rate against the number of texts with the "
                    "word, on logarithmic axes: the more frequent the word, the lower its rate, "
                    "and all rates fall in training. Below, the same as a strip of colours."))


def own_sum(squares):
    """Adagrad's G after each step: each feature's own."""
    return np.cumsum(squares, axis=0)


def common_sum(squares):
    """AdaGrad-norm's G after each step: one for all."""
    return np.broadcast_to(own_sum(squares.sum(axis=1, keepdims=True)), squares.shape)


def fading_mean(squares, rho=RHO):
    """RMSprop's S after each step: S ← ρ S + (1 - ρ) g²."""
    S = np.zeros((len(squares) + 1, squares.shape[1]))
    for t, g2 in enumerate(squares):
        S[t + 1] = rho * S[t] + (1 - rho) * g2
    return S[1:]


RULES = {"Adagrad: own sum": own_sum, "AdaGrad-norm: one sum": common_sum,
         "RMSprop: fading mean": fading_mean}
