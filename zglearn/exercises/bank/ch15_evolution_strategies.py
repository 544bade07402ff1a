"""Chapter 15: evolution strategies."""

import math

import numpy as np

from zglearn import Objective
from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_parts,
    incorrect,
)


def random_slope(rng, d):
    """A gradient (d,) that nobody guesses: signs and scale are random, and no entry is small."""
    return rng.choice([-1.0, 1.0], size=d) * rng.uniform(1, 3, size=d) * 10 ** rng.uniform(0, 1)


@exercise("15.1", "The slope of a blurred step", kind="derive", difficulty=2, minutes=10, points=2,
          names=["blurred_slope"],
          hints=["What is the blurred loss itself? With which probability does x + σε fall left of "
                 "0?",
                 "low + (high − low) Φ(−x/σ). Its derivative holds the normal density φ, and the "
                 "chain rule adds a factor.",
                 "return (low - high) * phi(x / sigma) / sigma, with phi(t) = exp(-t² / 2) / "
                 "sqrt(2 π)"],
          followups=[
              ("Where is the slope of use, and where is it not?",
               "Within two or three σ of the step. Further away it is as good as zero: a wider "
               "cloud would see the step from there."),
              ("The log-likelihood trick gives the same number from samples. What does it need of "
               "f?",
               "Nothing but an average that is finite: only the density of the cloud is "
               "differentiated.")],
          rows=["R102", "R147"])
def blurred_slope(answer, rng):
    for _ in range(3):
        sigma, low = rng.uniform(0.4, 0.8), rng.uniform(0, 1)
        x, high = sigma * rng.uniform(0.5, 1.5), low + rng.uniform(1.5, 3)
        phi = math.exp(-((x / sigma) ** 2) / 2) / math.sqrt(2 * math.pi)
        want = (low - high) * phi / sigma
        expect_close(answer.call("blurred_slope", x, sigma, low, high), want, mistakes={
            "the sign is flipped: the loss falls from left to right": -want,
            "a factor 1/σ is missing: the chain rule": want * sigma,
            "the step is taken to be 1 high: it is high − low": -phi / sigma,
            "x is not measured in units of σ": (low - high) / sigma
                * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
            "this is the slope of the step itself: blurred, it has another": 0.0},
            case=f"x = {x:.2f}, σ = {sigma:.2f}, from {high:.2f} down to {low:.2f}")


@exercise("15.2", "Ranks in the place of losses", kind="implement", difficulty=1, minutes=6,
          points=2, names=["shaped"],
          hints=["`argsort` says which loss is the lowest. You need to know how many are lower "
                 "than each.",
                 "The rank of F_i is the number of losses below it. Divide by n − 1, subtract 1/2.",
                 "ranks = argsort of the argsort of F; return ranks / (len(F) - 1) - 0.5"],
          followups=[
              ("Why is `argsort` of `argsort` the rank?",
               "The first is a permutation that sorts; the second is its inverse, which says where "
               "each one went."),
              ("What is lost with ranks?",
               "How much better. On a loss that is flat but for a rare jackpot, that was the "
               "information.")],
          rows=["R102"])
def shaped(answer, rng):
    for n in (5, 9):
        F = rng.normal(size=n) ** 3
        F[rng.integers(n)] = np.inf
        # An order that is its own inverse would hide a missing second argsort.
        while (F.argsort().argsort() == F.argsort()).all():
            F = rng.permutation(F)
        ranks = F.argsort().argsort()
        finite = np.where(np.isfinite(F), F, F[np.isfinite(F)].max())
        expect_close(answer.call("shaped", F), ranks / (n - 1) - 0.5, mistakes={
            "this is which loss comes first, second, …: apply argsort once more to get ranks":
                F.argsort() / (n - 1) - 0.5,
            "the lowest loss has the highest value": 0.5 - ranks / (n - 1),
            "they run from 0 to 1: subtract a half, so that they add up to zero": ranks / (n - 1),
            "they are divided by n, so the highest is not 1/2: n ranks have n − 1 gaps":
                ranks / n - 0.5,
            "the losses are scaled, not ranked": (finite - finite.min()) / np.ptp(finite) - 0.5},
            case=f"{n} losses, one of them infinite")


@exercise("15.3", "Pairs", kind="implement", difficulty=2, minutes=10, points=3,
          names=["es_gradient"],
          hints=["Each direction is used with both signs. What happens to a constant?",
                 "g = 1/(2 σ · pairs) Σ (f(x + σε) − f(x − σε)) ε.",
                 "loop pairs times: eps = rng.standard_normal(x.size); add (f(x + sigma * eps) - "
                 "f(x - sigma * eps)) * eps; divide at the end"],
          followups=[
              ("Subtracting the mean loss removes the constant, too. What do pairs do beyond that?",
               "They cancel all even terms, the curvature above all. Where the slope is gentle "
               "and the curvature is not, that is most of the noise."),
              ("And what do they cost?",
               "Half as many directions for the same number of losses.")],
          rows=["R105", "R102", "R131"])
def es_gradient(answer, rng):
    d, pairs, sigma = 4, 1500, 0.5
    slope, x = random_slope(rng, d), rng.normal(size=d)
    f = Objective(lambda p: float(np.asarray(p) @ slope) + 1e5)
    case = f"a linear loss plus 100,000, in {d} dimensions, {pairs} pairs"
    got = as_array(answer.call("es_gradient", f, x, rng, sigma, pairs), case=case, shape=(d,))
    expect(f.evaluations <= 2 * pairs, f"{case}: {f.evaluations} losses were asked, "
           f"{2 * pairs} are allowed")
    # Five and a half standard errors of each coordinate are allowed.
    room = 5.5 * np.sqrt((slope @ slope + slope**2) / pairs)
    for factor, mistake in (
            (-1, "the sign of the difference is flipped"),
            (2, "a pair counts as one loss: divide by twice the number of pairs"),
            (sigma, "the division by σ is missing"),
            (1 / sigma, "it is divided by σ twice"),
            (pairs, "the pairs are added up, not averaged")):
        if (np.abs(got - factor * slope) < room * min(1, abs(factor))).all():
            incorrect(f"{case}: the estimate is {factor:.3g} times the gradient. It looks as if "
                      f"{mistake}.")
    off = np.abs(got - slope)
    expect((off < 20 * room).all(), f"{case}: the estimate is off by {off.max():.0f}. The constant "
           "should cancel: use each direction with both signs")
    expect((off < room).all(), f"{case}: expected about {np.round(slope, 2).tolist()}, got "
           f"{np.round(got, 2).tolist()}, too far off for chance")


@exercise("15.4", "The heart of CMA-ES", kind="implement", difficulty=3, minutes=15, points=4,
          names=["cma_update"],
          hints=["Sort first. Then everything is a weighted sum over the μ best.",
                 "m' = Σ w_i x_(i), y_i = (x_(i) − m)/σ with the *old* m, "
                 "C' = (1 − c) C + c Σ w_i y_i y_iᵀ.",
                 "best = X[np.argsort(F)[:len(w)]]; Y = (best - m) / sigma; return w @ best, "
                 "(1 - c) * C + c * (Y.T * w) @ Y"],
          followups=[
              ("Why the old mean, and not the new one?",
               "Around the old mean the variance of the *selected steps* is estimated, which is "
               "large along a direction of progress. Around the new mean it would be smaller "
               "there: the cloud would shrink in just the direction in which it should grow."),
              ("Why does C resemble the inverse Hessian?",
               "On a quadratic the ranking does not change if coordinates and C are transformed "
               "together. The cloud settles where all directions look alike: C ∝ H⁻¹.")],
          rows=["R102", "R105"])
def cma_update(answer, rng):
    n, lam, mu = 3, 8, 4
    m, sigma, c = rng.normal(size=n), rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.5)
    C = np.cov(rng.normal(size=(n, 10)))
    X, F = m + sigma * rng.normal(size=(lam, n)), rng.normal(size=lam)
    w = np.array([0.5, 0.3, 0.15, 0.05])

    def update(best, weights, centre, unit):
        Y = (best - centre) / unit
        return weights @ best, (1 - c) * C + c * (Y.T * weights) @ Y

    best, worst = X[F.argsort()[:mu]], X[F.argsort()[::-1][:mu]]
    even, case = np.full(mu, 1 / mu), f"a population of {lam} in {n} dimensions, the best {mu}"
    got = expect_parts(answer.call("cma_update", m, sigma, C, X, F, w, c), 2, case=case,
                       what="the new mean and the new covariance")
    want_m, want_C = update(best, w, m, sigma)
    expect_close(got[0], want_m, case=f"{case}: the mean", mistakes={
        "the *worst* were taken": update(worst, w, m, sigma)[0],
        "all the best have the same weight": update(best, even, m, sigma)[0]},
        usually="the points are not sorted by their loss")
    expect_close(got[1], want_C, case=f"{case}: the covariance", mistakes={
        "the steps are measured from the new mean": update(best, w, want_m, sigma)[1],
        "the steps are not divided by σ": update(best, w, m, 1.0)[1],
        "the old covariance is forgotten": (want_C - (1 - c) * C) / c,
        "all the best have the same weight": update(best, even, m, sigma)[1]},
        usually="c and 1 − c are swapped")


@exercise("15.5", "Repair: a strategy that gets worse", kind="debug", difficulty=2, minutes=10,
          points=3, names=["es_step"],
          hints=["Which noise belongs to which loss? And which way is down?",
                 "x − lr/(population · σ) Σ F_i ε_i, with the same ε_i that was asked for F_i.",
                 "draw eps once, (population, d); F from x + sigma * eps; standardize; subtract"],
          followups=[
              ("Drawing the noise twice saves memory. How is it done rightly?",
               "With a generator of its own, made twice from the same seed. MeZO and shared seeds "
               "rest on that."),
              ("Which of the two errors would a falling training curve have hidden?",
               "Neither. But with the noise alone wrong the loss only wanders, which is easily "
               "taken for a learning rate that is too small.")],
          rows=["R102", "R131"])
def es_step(answer, rng):
    d, lr, sigma, population, steps = 5, 0.05, 0.1, 20, 60
    slope, x = rng.normal(size=d), 10 * rng.normal(size=d)
    slope /= np.linalg.norm(slope)
    case = f"a linear loss plus 100 in {d} dimensions"

    for way_up in (slope, -slope):  # a step that does not listen to the loss is right only once
        f = Objective(lambda p, way_up=way_up: float(np.asarray(p) @ way_up) + 100)
        moves = np.array([as_array(answer.call("es_step", f, x, rng, lr, sigma, population),
                                   case=case, shape=(d,)) - x for _ in range(steps)])
        expect(f.evaluations <= population * steps, f"{case}: a step asked "
               f"{f.evaluations / steps:.0f} losses, {population} are allowed")
        expect(f.evaluations > 0, f"{case}: no loss was asked. Where does it know the way from?")
        expect(np.abs(moves).max(axis=1).min() > 0, f"{case}: it does not move")
        progress = moves @ way_up / np.linalg.norm(moves, axis=1)  # cosines with the way up
        # Rightly done they average about -0.9; without relation 0, give or take 0.07.
        expect(progress.mean() < 0.3, f"{case}: it goes *up*: the formula for a reward was used "
               "for a loss")
        expect(np.abs(progress.mean()) > 0.3 or np.linalg.norm(moves, axis=1).mean() < 3,
               f"{case}: the steps are long and have no direction: a constant in the loss must "
               "not count, so subtract the mean or use pairs")
        expect(progress.mean() < -0.3, f"{case}: the steps have nothing to do with the slope. "
               "Each loss must be multiplied by the noise that led to it")


@exercise("15.6", "Rank-one noise, without the matrix", kind="implement", difficulty=2, minutes=10,
          points=3, names=["outputs"],
          hints=["Multiply x (W + σ a bᵀ) out. Which part is the same for all members?",
                 "x W + σ (x · a) bᵀ: a number for each example and member, times a vector for "
                 "each member.",
                 "A @ X.T has shape (P, n); give it a last axis, and B one in the middle; add "
                 "X @ W"],
          followups=[
              ("The sum over the members, Σ F_i a_i b_iᵀ: which rank has it?",
               "Up to the number of members: so a step can have full rank, though no member's "
               "noise has."),
              ("Why is its estimate a little worse than that of full noise?",
               "The entries of one a bᵀ are uncorrelated, but not independent, and their "
               "products have heavier tails than a Gaussian.")],
          rows=["R105", "R128"])
def outputs(answer, rng):
    P, n, m, k, sigma = 4, 3, 5, 2, rng.uniform(0.2, 0.6)
    X, W = rng.normal(size=(n, m)), rng.normal(size=(m, k))
    A, B = rng.normal(size=(P, m)), rng.normal(size=(P, k))
    noise = np.einsum("pm,pk->pmk", A, B)
    case = f"{P} members, {n} examples, {m} inputs, {k} outputs"
    expect_close(answer.call("outputs", X, W, A, B, sigma), X @ (W + sigma * noise), mistakes={
        "σ is left out": X @ (W + noise),
        "this is the noise alone: the shared X @ W is missing": sigma * X @ noise,
        "σ is in it twice": X @ (W + sigma**2 * noise),
        "the noise of all members is added up: each member has its own":
            np.repeat((X @ (W + sigma * noise.sum(axis=0)))[None], P, axis=0)}, case=case)


choice(
    "15.7", "Predict: another scale", kind="predict", difficulty=1, minutes=3, points=1, right="b",
    options={
        "a": "That is what gradient descent would do. CMA-ES never multiplies anything by a loss.",
        "b": "It only uses the order of the losses, and an increasing function keeps the order.",
        "c": "Flatter or steeper, the order of the points is the same: it cannot notice.",
        "d": "σ is the length of the steps, in units of x. It is adapted from the steps, and those "
             "from the order."},
    hints=["What does the code do with `f(X)` before anything else?",
           "`argsort`. What happens to the order of numbers when each is cubed, scaled and "
           "shifted?",
           "Nothing."],
    followups=[("Name a method of chapters 03 to 07 that keeps its path when the loss is "
                "multiplied by 1000, and one that does not.",
                "Adam (nearly, for ε = 0) and RMSprop do; gradient descent and momentum do not. "
                "None of them keeps it for the cube.")],
    rows=["R129", "R024"],
)

choice(
    "15.8", "A worker comes late", difficulty=2, minutes=4, points=1, right="c",
    options={
        "a": "It would do, but it is four megabytes. There is something that it can compute them "
             "from.",
        "b": "With one learning rate that would do as well, but it has a million entries, like "
             "the parameters themselves.",
        "c": "From the seed it draws all the noise, and with the losses it takes all 500 steps "
             "itself. With 100 losses a generation that is 200 kB; it pays with computing.",
        "d": "Then it can take the last step, but from where? It has not taken the other 499."},
    hints=["What does a worker need to take *one* step? And to be where the others are?",
           "One step: the noise, which the seed gives, and that generation's losses.",
           "All the steps, one after the other."],
    followups=[("What breaks this if the workers' processors differ?",
                "Sums in another order round differently, and the copies drift apart. Sending the "
                "parameters now and then, with a check sum, repairs it.")],
    rows=["R046", "R061"],
)
