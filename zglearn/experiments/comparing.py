"""Differences in pairs, with an interval that covers, and corrected where there are many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, repr=False)
class Comparison:
    """A mean difference, its interval, and the p-value of there being none. "Not shown" (p is
    1 - level or more) does not mean "no difference": the interval says what is still possible."""

    difference: float
    low: float
    high: float
    p: float
    n: int
    level: float = 0.95
    family: int = 1  # how many comparisons `holm` has corrected p for

    @property
    def shown(self) -> bool:
        return self.p < 1 - self.level

    def __repr__(self) -> str:
        among = f" after Holm's correction for {self.family}" if self.family > 1 else ""
        return (f"{self.difference:+.3g} ({self.level:.0%} interval {self.low:+.3g} to "
                f"{self.high:+.3g}, n = {self.n}, p = {self.p:.2g}{among}): "
                + ("shown" if self.shown else "not shown"))


def compare(a, b, *, test_share: float, level: float = 0.95) -> Comparison:
    """The mean of a - b, with Student's t for n - 1 degrees of freedom.

    Parameters
    ----------
    a, b : array-likes (n,)
        Results of two rivals, in pairs: from the same seed, or on the same split.
    test_share : float
        0 if each pair has a seed or data of its own. Where one data set is split again and again,
        the splits overlap: then the share of it that a test part has, r, and the variance is
        s² (1/n + r / (1 - r)) in place of s²/n (Nadeau and Bengio 2003, with all that is not in
        the test part as the train part).
    level : float

    Raises
    ------
    ValueError
        For fewer than two pairs, unequal lengths, what is not finite, or differences that are all
        the same and not 0.

    Notes
    -----
    How often the 95 % interval covers (simulated in `tests/test_experiments.py`): over seeds with
    normal differences, 95 %. Over ten resplits of 100 examples it depends on what correlates the
    splits. If training changes nothing they share just the test examples that the correction
    counts: 95 %, and 56 to 84 % without it. Two ridges, or two nearest-centroid classifiers: 97 to
    100 %, and 81 to 94 % without it. It is no guarantee: where outliers decide what all splits
    learn it was 86 %, and of two classifiers that hardly ever disagree 72 %.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError("two or more pairs are needed, as two arrays (n,): got shapes "
                         f"{a.shape} and {b.shape}")
    if not np.isfinite([a, b]).all():
        raise ValueError("what diverged or was not reached has no difference: say how many pairs "
                         "that concerns, and compare the others")
    if not 0 <= test_share < 1 or not 0 < level < 1:
        raise ValueError("test_share is from 0 to below 1, and level between 0 and 1: got "
                         f"{test_share} and {level}")
    if (a != b).any() and np.ptp(a - b) <= 1e-12 * np.abs([a, b]).max():
        raise ValueError(f"all differences are {a[0] - b[0]:.3g}: does the seed change anything?")
    mean, half, p = map(float, paired_t(a - b, test_share, level))
    return Comparison(mean, mean - half, mean + half, p, len(a), level)


def paired_t(d, test_share, level):
    """Mean, half the interval and p of differences (..., n), along the last axis."""
    from scipy.stats import t  # takes long to import

    n, mean = d.shape[-1], d.mean(axis=-1)
    error = d.std(axis=-1, ddof=1) * np.sqrt(1 / n + test_share / (1 - test_share))
    ratio = np.divide(np.abs(mean), error, out=np.zeros_like(mean), where=error > 0)
    return mean, t.ppf((1 + level) / 2, n - 1) * error, 2 * t.sf(ratio, n - 1)


def holm(comparisons: dict) -> dict:
    """The same comparisons with p corrected for their number (Holm 1979): the chance to show any
    difference that is none is at most 1 - level. Each interval still stands alone."""
    found = list(comparisons.values())
    if not found or any(c.family > 1 for c in found):
        raise ValueError("give comparisons that are not corrected yet, as {name: comparison}")
    corrected = corrected_for_many(np.array([c.p for c in found])).tolist()
    return {name: replace(c, p=p, family=len(found))
            for name, c, p in zip(comparisons, found, corrected, strict=True)}


def corrected_for_many(p):
    """Of m p-values (..., m), the lowest times m, the next times m - 1 and so on, but none below
    the one before."""
    order, m = np.argsort(p, axis=-1), p.shape[-1]
    times = np.take_along_axis(p, order, axis=-1) * np.arange(m, 0, -1)
    rising = np.minimum(np.maximum.accumulate(times, axis=-1), 1)
    return np.take_along_axis(rising, np.argsort(order, axis=-1), axis=-1)
