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
    expect_pairs,
    expect_parts,
    incorrect,
    watched,
)


def crooked(rng, d):
    """A loss of points (d,) that is neither even nor linear around any point, plus 100,000."""
    slope, bend = rng.normal(size=(2, d))
    return lambda x: 1e5 + float(slope @ x + bend @ x**3)


def expect_normal(z, *, case, what, signed=True):
    """Expect the rows of z (n, d) to look standard normal and drawn anew, within five standard
    deviations; without `signed`, the sign of a row means nothing."""
    size = np.abs(z)
    n, mean, spread = z.size, z.mean(), z.std()
    expect((z < 0).any(axis=1).all() and (z > 0).any(axis=1).all(), f"{case}: {what} has the same "
           "sign in all coordinates. Each coordinate is drawn on its own, and both signs occur.")
    expect(len(np.unique(size.round(9), axis=0)) >= len(z) // 2, f"{case}: {what} is the same "
           "again and again. Each is drawn anew.")
    expect(abs(spread - 1) < 5 / np.sqrt(2 * n) and abs(mean) < 5 / np.sqrt(n),
           f"{case}: {what}, in units of σ, has the mean {mean:.3g} and the standard deviation "
           f"{spread:.3g}; expected 0 and 1.")
    expect(abs(size.mean() / spread - 0.798) < 5 * 0.43 / np.sqrt(n), f"{case}: {what} is not "
           f"normal. Its mean size is {size.mean() / spread:.3f} standard deviations; that of "
           "normal noise is 0.798.")
    square = (z**2).sum(axis=1)
    cosines = z @ z.T / np.sqrt(np.outer(square, square)) - np.eye(len(z))
    near = int(((cosines if signed else np.abs(cosines)) > 0.9).any(axis=1).sum())
    expect(near == 0, f"{case}: {near} of {len(z)} directions of {what} are the same as another, "
           "or nearly so. Each is drawn anew.")
    expect(square.var() > 0.3 * 2 * z.shape[1], f"{case}: {what} has the same length in every "
           "direction. That of normal noise differs from one to the next.")


def expect_from_rng(asked, again, *, case):
    """Expect no point to be asked in both of two calls that differ in their `rng` only."""
    same = (np.array(asked)[:, None] == np.array(again)[None]).all(axis=2).any()
    expect(not same, f"{case}: with another `rng` the loss is asked at the same points: draw the "
           "noise from the `rng` that is passed in, not from a source of your own")


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
    for far in rng.permutation([rng.uniform(0.5, 1.5), -rng.uniform(0.5, 1.5), 0.0,
                                rng.choice([-1, 1]) * rng.uniform(3, 3.5)]).tolist():
        sigma, low = rng.uniform(0.4, 0.8), rng.uniform(-1, 1)
        x, high = sigma * far, low + rng.uniform(1.5, 3)
        phi = math.exp(-((x / sigma) ** 2) / 2) / math.sqrt(2 * math.pi)
        want = (low - high) * phi / sigma
        expect_close(answer.call("blurred_slope", x, sigma, low, high), want, mistakes={
            "the sign is flipped: the loss falls from left to right": -want,
            "a factor 1/σ is missing: the chain rule": want * sigma,
            "the step is taken to be 1 high: it is high − low": -phi / sigma,
            "x is not measured in units of σ": (low - high) / sigma
                * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
            "this is the slope of the step itself: blurred, it has another": 0.0},
            case=f"x = {x:.2f}, σ = {sigma:.2f}, from {high:.2f} down to {low:.2f}",
            usually="the blurred loss depends on x through the chance that x + σε falls left of 0: "
                    "write it so, and compare your formula with a difference of it")


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
    for n, level, unit in rng.permutation([(4, 0, 1), (5, 0, 1e12),
                                           (int(rng.integers(8, 12)), 1, 1e-10)]).tolist():
        n = int(n)
        F = rng.permutation([2.0, -3.0, *rng.normal(size=n - 3), np.inf]) * unit + level
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
            case=f"{n} losses of about {abs(level + unit):.0e}, one of them infinite",
            usually="look at the place of the lowest loss, which gets −1/2, at that of the "
                    "highest, and at the gaps between neighbours, which are all the same")


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
    for d, pairs in ((90, 100), (3, 1), (3, int(rng.integers(3, 8)))):
        x, sigma = rng.normal(size=d), rng.uniform(0.15, 0.35)
        loss, asked = watched(crooked(rng, d))
        case = f"{pairs} pairs in {d} dimensions, σ = {sigma:.3f}"
        got = as_array(answer.call("es_gradient", Objective(loss), x, rng, sigma, pairs), case=case,
                       shape=(d,))
        expect(not asked or np.abs(np.mean(asked, axis=0)).max() > 1e-9, f"{case}: the points at "
               "which the loss was asked lie around 0, and not around x.")
        steps = expect_pairs(asked, x, pairs, case=case)
        if pairs > 10:
            expect_normal(steps / sigma, case=case, what="the noise around x", signed=False)
        else:
            first = [*asked]
            asked.clear()
            answer.call("es_gradient", Objective(loss), x, rng, sigma, pairs)
            expect_from_rng(first, asked, case=case)
        change = np.array([loss(x + s) - loss(x - s) for s in steps])
        want = change @ steps / (2 * sigma**2 * pairs)
        expect_close(got, want, case=case, mistakes={
            f"{mistake}: it is {factor:.3g} times as long as it should be": factor * want
            for mistake, factor in (
                ("a pair counts as one loss", 2), ("the division by σ is missing", sigma),
                ("the division by 2 σ is missing", 2 * sigma), ("it is divided by σ twice",
                                                                1 / sigma),
                ("the pairs are added up, not averaged", pairs)) if factor != 1
            } | {"the sign of the difference is flipped": -want},
            usually="multiply the difference of each pair with the pair's own noise, and count "
                    "what the sum has to be divided by")


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
    lam = int(rng.integers(8, 13))
    half = lam // 2 + int(rng.choice([-1, 1]))  # not half of the population: that is only usual
    for mu, c in rng.permutation([(half, rng.uniform(0.1, 0.3)), (1, rng.uniform(0.4, 0.6)),
                                  (lam - 2, rng.uniform(0.7, 0.9))]).tolist():
        _cma_update(answer, rng, lam, int(mu), c)


def _cma_update(answer, rng, lam, mu, c):
    """Judge one generation of lam points, of which the best mu count."""
    n, sigma = int(rng.integers(2, 6)), rng.uniform(0.55, 0.8)
    C = np.cov(rng.normal(size=(n, 10)))
    m, F = rng.normal(size=n), rng.normal(size=lam)
    X, F[F.argmax()] = m + sigma * rng.normal(size=(lam, n)), np.inf
    w = np.sort(rng.dirichlet(np.full(mu, 2.0)))[::-1]

    def update(best, weights, centre, unit):
        Y = (best - centre) / unit
        return weights @ best, (1 - c) * C + c * (Y.T * weights) @ Y

    best, worst = X[F.argsort()[:mu]], X[F.argsort()[::-1][:mu]]
    even = np.full(mu, 1 / mu)
    case = f"a population of {lam} in {n} dimensions, one loss infinite, the best {mu}, c = {c:.2f}"
    got = expect_parts(answer.call("cma_update", m, sigma, C, X, F, w, c), 2, case=case,
                       what="the new mean and the new covariance")
    want_m, want_C = update(best, w, m, sigma)
    expect_close(got[0], want_m, case=f"{case}: the mean", mistakes={
        "the *worst* were taken": update(worst, w, m, sigma)[0],
        "all the best have the same weight": update(best, even, m, sigma)[0]},
        usually="are these the best points, in the order of their losses, each with its own "
                "weight?")
    expect_close(got[1], want_C, case=f"{case}: the covariance", mistakes={
        "the steps are measured from the new mean": update(best, w, want_m, sigma)[1],
        "the steps are not divided by σ": update(best, w, m, 1.0)[1],
        "the old covariance is forgotten": (want_C - (1 - c) * C) / c,
        "all the best have the same weight": update(best, even, m, sigma)[1],
        "c and 1 − c are swapped": c * C + (1 - c) / c * (want_C - (1 - c) * C),
        "the mean step is multiplied with itself; the mean is that of the products":
            (1 - c) * C + c * np.outer(want_m - m, want_m - m) / sigma**2},
        usually="try it with a single best point of weight 1: which matrix is then added to C?")


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
    d, taken, noise = int(rng.integers(30, 50)), [], []
    for _ in range(12):
        lr, sigma, population = rng.uniform(0.02, 0.3), rng.uniform(0.05, 0.3), 2 * int(
            rng.integers(7, 13))
        x, (loss, asked) = rng.normal(size=d), watched(crooked(rng, d))
        case = (f"population {population} in {d} dimensions, lr = {lr:.3f}, σ = {sigma:.3f}, a "
                "loss plus 100,000")
        given = Objective(loss), x, rng, lr, sigma, population
        step = as_array(answer.call("es_step", *given), case=case, shape=(d,)) - x
        expect(len(asked) <= population, f"{case}: {len(asked)} losses were asked, more than there "
               "are members")
        expect(len(asked) == population, f"{case}: only {len(asked)} losses were asked; each "
               "member of the population has its own")
        points = np.array(asked)
        expect(np.ptp(points, axis=0).max() > 0, f"{case}: the loss was asked at one point only. "
               "Where does it know the way from?")
        expect(step.any(), f"{case}: it does not move")
        if not taken:
            first = [*asked]
            asked.clear()
            answer.call("es_step", *given)
            expect_from_rng(first, asked, case=case)
        noise.append((points - x) / sigma)
        up = np.sort(noise[-1], axis=0)
        expect(np.abs(up.mean(axis=0)).max() > 1e-6 or np.allclose(up, -up[::-1]), f"{case}: the "
               "noise adds up to 0, and not because it comes in pairs: each ε is drawn on its own")
        taken.append((step, noise[-1], np.array([loss(p) for p in points]), lr, sigma, case))
    expect_normal(np.concatenate(noise), case="twelve steps", what="the noise around x")
    for step in taken:
        _es_step(*step)


def _es_step(step, eps, F, lr, sigma, case):
    """Judge a step that was taken after the losses F (n,) were asked at x + sigma * eps (n, d)."""
    n, deviation = len(F), F - F.mean()

    def down(weights):
        return -lr * weights @ eps / (n * sigma)

    right = {"standardized losses": down(deviation / F.std()),
             "ranks": down(F.argsort().argsort() / (n - 1) - 0.5)}
    allowed = [*right.values(), down(deviation / F.std(ddof=1))]
    if any(np.allclose(step, want, rtol=0, atol=1e-5 * np.abs(want).max()) for want in allowed):
        return
    span = eps.T @ np.linalg.lstsq(eps.T, step, rcond=None)[0]
    expect(np.linalg.norm(span - step) < 1e-4 * np.linalg.norm(step), f"{case}: the step has "
           "nothing to do with the noise that was asked. Each loss must be multiplied by the noise "
           "that led to it.")
    known = {-1: "it goes *up*: the formula for a reward was used for a loss",
             sigma: "the division by σ is missing", sigma**2: "it is multiplied by σ, not divided",
             1 / sigma: "it is divided by σ twice", n: "the sum is not divided by the population",
             1 / lr: "lr is left out", F.std(): "the losses are not divided by their spread"}
    for shaped, want in right.items():
        times = step @ want / (want @ want)
        if np.abs(step - times * want).max() < 1e-4 * np.abs(step).max():
            why = [said for factor, said in known.items() if abs(times / factor - 1) < 1e-4]
            said = f" It looks as if {why[0]}." if why else (
                " lr, σ and the population enter once each, as they are given; nothing else does.")
            incorrect(f"{case}: with {shaped}, the step is {times:.4g} times as long as it should "
                      f"be.{said}")
    raw = F @ eps
    cosine = step @ raw / np.linalg.norm(step) / np.linalg.norm(raw)
    expect(abs(cosine) < 0.999, f"{case}: the losses are used as they are, so that a constant in "
           "the loss decides where the step goes. Shape them first.")
    incorrect(f"{case}: the step is a sum of the noise that was asked, but with other weights than "
              "the standardized losses or their ranks. Does each loss multiply its own noise?")


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
               "The entries of one a bᵀ are uncorrelated, but not independent. One estimate has "
               "the mean square length (m + 2)(k + 2) ‖G‖², where full noise has (m k + 2) ‖G‖²: "
               "a factor of about 1 + 2/m + 2/k.")],
          rows=["R105", "R128"])
def outputs(answer, rng):
    P, n, m, k = (int(rng.integers(*ends)) for ends in ((2, 6), (3, 6), (4, 8), (2, 5)))
    sigma = rng.uniform(0.2, 0.45)
    X, W = rng.normal(size=(n, m)), rng.normal(size=(m, k))
    A, B = rng.normal(size=(P, m)), rng.normal(size=(P, k))
    noise = np.einsum("pm,pk->pmk", A, B)
    case = f"{P} members, {n} examples, {m} inputs, {k} outputs"
    expect_close(answer.call("outputs", X, W, A, B, sigma), X @ (W + sigma * noise), mistakes={
        "σ is left out": X @ (W + noise),
        "this is the noise alone: the shared X @ W is missing": sigma * X @ noise,
        "σ is in it twice": X @ (W + sigma**2 * noise),
        "the noise of all members is added up: each member has its own":
            np.repeat((X @ (W + sigma * noise.sum(axis=0)))[None], P, axis=0)}, case=case,
        usually="of the two vectors of a member, which one meets the inputs, and which one spreads "
                "the result over the outputs?")
    # Weights so large that the noise vanishes where it is added to them, and whose outputs cancel.
    m += m % 2
    large = rng.integers(1, 1000, size=(m // 2, k)) * 2.0**42
    W, A = np.stack([large, -large], axis=1).reshape(m, k), rng.normal(size=(P, m))
    X = rng.choice([-1.0, 1.0], size=(n, m // 2)).repeat(2, axis=1)
    want = sigma * np.einsum("nm,pm,pk->pnk", X, A, B)
    expect_close(answer.call("outputs", X, W, A, B, sigma), want, usually="W + σ a bᵀ is made "
                 "for each member, and the noise is rounded away there. X @ W is the same for all: "
                 "it is computed once, and the noise is added to it",
                 case="large weights that cancel: X @ W is 0, the outputs are the noise")


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
