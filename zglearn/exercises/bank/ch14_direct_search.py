"""Chapter 14: search without derivatives."""

import math

import numpy as np

from zglearn import Objective
from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    incorrect,
    open_question,
)


@exercise("14.1", "The Metropolis rule", kind="derive", difficulty=1, minutes=4, points=1,
          names=["acceptance"],
          hints=["What happens to a step down? And how likely is a small step up when it is hot?",
                 "min(1, exp(−Δ / T)), with Δ the new loss minus the old one.",
                 "if delta <= 0 return 1; otherwise exp(-delta / T)"],
          followups=[
              ("What does it become for T → 0, and for T → ∞?",
               "Hill climbing (nothing worse is accepted), and a random walk (everything is)."),
              ("The loss is multiplied by ten. What has to be done to T?",
               "The same: only Δ/T counts. A temperature has the units of the loss.")],
          rows=["R025"])
def acceptance(answer, rng):
    cases = [(rng.uniform(0.1, 3), rng.uniform(0.3, 2)), (-rng.uniform(0.1, 3), 0.7), (0.0, 1.3),
             (-900.0, 1.0)]
    for delta, T in cases:
        want = min(1.0, math.exp(min(0.0, -delta / T)))
        up = math.exp(max(-700.0, min(700.0, delta / T)))
        expect_close(answer.call("acceptance", delta, T), want, mistakes={
            "a step down has a probability above one: cut it at 1":
                math.exp(max(-700.0, min(700.0, -delta / T))),
            "the sign in the exponent is flipped: worse steps should be less likely":
                min(1.0, up),
            "T multiplies where it should divide": min(1.0, math.exp(min(0.0, -delta * T))),
            "nothing worse is ever accepted: this is hill climbing": float(delta <= 0),
            "this is the heat-bath rule, 1/(1 + exp(Δ/T)): Metropolis accepts every step down":
                1 / (1 + up),
            "T is ignored": min(1.0, math.exp(min(0.0, -delta)))},
            case=f"a loss that changes by {delta:.2f} at T = {T:.2f}")


@exercise("14.2", "Why it samples from exp(−f/T)", kind="derive", difficulty=3, minutes=15,
          points=3, names=["metropolis_matrix"],
          hints=["Row i: from state i each of the other states is proposed with the same "
                 "probability. What happens to the proposals that are refused?",
                 "P[i, j] = min(1, exp(−(f_j − f_i)/T)) / (n − 1) for j ≠ i; the rest stays: "
                 "P[i, i] = 1 − the sum of the others.",
                 "D = losses[None, :] - losses[:, None]; P = np.minimum(1, np.exp(-D / T)) / "
                 "(n - 1); np.fill_diagonal(P, 0); then fill the diagonal with 1 - P.sum(axis=1)"],
          followups=[
              ("Show that π_i ∝ exp(−f_i/T) is stationary.",
               "π_i P_ij = min(π_i, π_j)/(n−1), up to the common factor: symmetric in i and j. So "
               "as much flows from i to j as back (detailed balance)."),
              ("Then why cool at all?",
               "At a fixed T the walk spends its time everywhere, in proportion to π. As T falls, "
               "π gathers at the minimum; too fast, and the walk cannot follow.")],
          rows=["R025", "E06"])
def metropolis_matrix(answer, rng):
    n, T = 5, rng.uniform(0.4, 1.5)
    f = rng.normal(size=n)
    case = f"{n} states at T = {T:.2f}"
    P = as_array(answer.call("metropolis_matrix", f, T), case=case, shape=(n, n))
    D = f[None, :] - f[:, None]
    want = np.minimum(1, np.exp(-D / T)) / (n - 1)
    np.fill_diagonal(want, 0)
    no_rest = want.copy()
    np.fill_diagonal(want, 1 - want.sum(axis=1))
    heat = np.exp(-f / T)[None, :].repeat(n, axis=0)
    expect((P > -1e-12).all(), f"{case}: a probability is negative")
    expect_close(P, want, case=case, mistakes={
        "refused proposals are lost: a row must sum to 1, so the rest stays where it is": no_rest,
        "this is Gibbs sampling: the next state does not depend on the present one":
            heat / heat.sum(axis=1, keepdims=True),
        "rows and columns are swapped: P[i, j] is the way from i to j": want.T,
        "accepted proposals are scaled up to sum to 1: refusing is part of the rule":
            no_rest / no_rest.sum(axis=1, keepdims=True)})


@exercise("14.3", "Repair: children with two heads", kind="debug", difficulty=2, minutes=12,
          points=3, names=["crossover"],
          hints=["Count the letters of the child that the broken version makes.",
                 "Order crossover: a stretch from the mother stays in its place; the free places "
                 "are filled with the missing letters in the order in which the father has them.",
                 "a, b = sorted cut points; child[a:b] = mother[a:b]; rest = [x for x in father "
                 "if x not in mother[a:b]]; fill the other places from rest"],
          followups=[
              ("Would random keys (sorting 26 numbers) avoid the problem?",
               "Yes, every child is a valid key. But two parents that agree on a letter may then "
               "have a child that does not."),
              ("What should a crossover keep?",
               "What makes parents good. For a key that is single assignments, so cycle crossover, "
               "which keeps places, suits it better than order crossover.")],
          rows=["R026"])
def crossover(answer, rng):
    n, mixed, shared = 12, 0, []
    for _ in range(60):
        mother, father = rng.permutation(n), rng.permutation(n)
        child = as_array(answer.call("crossover", mother, father, rng), case="a child", shape=(n,))
        if sorted(child.tolist()) != list(range(n)):
            incorrect("a child lacks letters of its parents: "
                      f"{sorted(set(range(n)) - set(child.tolist()))}. It is no permutation.")
        mixed += (child != mother).any() and (child != father).any()
        shared.append(np.mean((child == mother) | (child == father)))
    expect(mixed >= 15, "nearly every child is a copy of one parent: nothing is crossed")
    # By chance one letter in six stands where a parent has it; order crossover keeps two thirds.
    expect(np.mean(shared) >= 0.3, "a child has hardly anything in the place where a parent has "
           "it: that is a shuffle, not a crossing")
    for parent, others in (("mother", 1), ("father", 0)):
        changed = 0
        for _ in range(10):
            fixed, one, two = (rng.permutation(n) for _ in range(3))
            seed = int(rng.integers(2**32))
            children = [answer.call("crossover", *((other, fixed) if others else (fixed, other)),
                                    np.random.default_rng(seed)) for other in (one, two)]
            changed += list(children[0]) != list(children[1])
        expect(changed >= 2, f"another {parent} makes no difference to the child, with the same "
               "random numbers: both parents should be in it")
    same = rng.permutation(n)
    child = as_array(answer.call("crossover", same, same, rng), case="equal parents", shape=(n,))
    expect((child == same).all(), "two equal parents must have a child equal to both")


@exercise("14.4", "A random search that deserves the name", kind="implement", difficulty=1,
          minutes=8, points=2, names=["random_search"],
          hints=["Draw a point in the box, ask, remember the best. How many questions in all?",
                 "x = low + (high − low) · u with u uniform in [0, 1]^d.",
                 "best, best_f = None, inf; loop budget times: x = rng.uniform(low, high); f_x = "
                 "f(x); keep if better; return best"],
          followups=[
              ("How does the best of N samples improve with N in d dimensions?",
               "The loss above the minimum falls like N^(−2/d) on a round bowl: halving it takes "
               "2^(d/2) times as many samples."),
              ("When is it the right method all the same?",
               "When nothing is known, evaluations run in parallel, and only few of the settings "
               "matter.")],
          rows=["R027", "R103", "E13"])
def random_search(answer, rng):
    low, high = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 3.0, 2.5])
    budget, asked = 200, []

    def loss(x):
        asked.append(np.array(x, dtype=float))
        return float(np.sum((asked[-1] - 1.7) ** 2))

    got = as_array(answer.call("random_search", Objective(loss), low, high, rng, budget),
                   case=f"a box in 3 dimensions, budget {budget}", shape=(3,))
    points = np.array(asked)
    expect(len(points) == budget, f"{len(points)} points were asked, the budget is {budget}: every "
           "question counts, also one that is asked twice")
    expect((points >= low - 1e-12).all() and (points <= high + 1e-12).all(),
           "a point lies outside the box")
    expect((np.ptp(points, axis=0) > 0.7 * (high - low)).all(),
           "the points do not fill the box: draw each coordinate between its own low and high")
    expect((np.abs(np.diff(points, axis=0)) / (high - low)).mean() > 0.2,
           "each point lies close to the one before: this is a walk, not a search of the whole box")
    u = (points - low) / (high - low)
    expect(not ((u <= 0) | (u >= 1)).any(axis=1).mean() > 0.05, "many points lie on the rim of the "
           "box, as clipped ones do: draw uniformly inside")
    # Of 600 uniform numbers 120 lie in the outer fifth, give or take 10; 78 is four times that off.
    expect((np.abs(u - 0.5) > 0.4).sum() >= 78, "the points crowd in the middle of the box: draw "
           "each coordinate uniformly")
    # Of 200 independent pairs a correlation is 0 give or take 0.07.
    expect(np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 0.4, "the coordinates of a point go "
           "together: draw a random number for each, not one for all")
    best = points[np.argmin(((points - 1.7) ** 2).sum(axis=1))]
    worst = points[np.argmax(((points - 1.7) ** 2).sum(axis=1))]
    expect_close(got, best, case="the best point", mistakes={
        "the last point was returned, not the best": points[-1],
        "the *worst* point was returned": worst})


@exercise("14.5", "Why one fifth?", kind="derive", difficulty=2, minutes=8, points=2,
          names=["standstill"],
          hints=["When does σ neither grow nor shrink in the long run?",
                 "p log(up) + (1 − p) log(down) = 0.",
                 "p = -log(down) / (log(up) - log(down))"],
          followups=[
              ("With up = a and down = a^(−1/4), what comes out?", "One fifth, whatever a is."),
              ("Why should a success rate near one fifth be good?",
               "Near zero the steps are too long, near one half they are so short that the loss "
               "looks flat. On the sphere and in a corridor the progress per step is best near "
               "0.27 and 0.18 (Rechenberg); one fifth lies between.")],
          rows=["R027", "R129"])
def standstill(answer, rng):
    for _ in range(3):
        up, down = rng.uniform(1.05, 3), rng.uniform(0.3, 0.97)
        want = -math.log(down) / (math.log(up) - math.log(down))
        expect_close(answer.call("standstill", up, down), want, mistakes={
            "this is the share of failures": 1 - want,
            "factors multiply: their logarithms must balance, not they themselves":
                (1 - down) / (up - down),
            "this is the ratio of successes to failures": want / (1 - want)},
            case=f"a success multiplies σ by {up:.2f}, a failure by {down:.2f}")


choice(
    "14.6", "Predict: a model of single letters", kind="predict", difficulty=2, minutes=4, points=1,
    right="c",
    options={
        "a": "They are easier to count, but they know nothing of what stands beside what. The "
             "search is quicker, and what it finds is wrong.",
        "b": "An exchange moves the loss whenever the two letters are not equally frequent.",
        "c": "The lowest loss gives the most frequent sign to the most frequent letter, and so on: "
             "sorting finds it. The true text is less typical than that. The search is perfect; "
             "the objective is wrong.",
        "d": "There are none: exchanging two signs that stand in the wrong order of frequency "
             "always lowers the loss, until all are sorted."},
    hints=["Which key has the lowest loss of all? You can find it without a search.",
           "The loss is a sum of counts times surprises: a sum of products is lowest when one "
           "falls as the other rises.",
           "So is every local minimum the same one? And is it the truth?"],
    followups=[("How would you improve the objective?",
                "Pairs of letters, as in the chapter; longer contexts or a list of words where the "
                "text is short, until the true text stands out.")],
    rows=["R067", "R100"],
)

choice(
    "14.7", "What no free lunch says", difficulty=2, minutes=4, points=1, right="d",
    options={
        "a": "Only on average over *all* functions, nearly all of which are noise. On the smooth "
             "ones of the chapter the methods differ at once.",
        "b": "The theorem holds for any method that does not ask twice, gradients or not; and "
             "gradients are information that it does not give to the others.",
        "c": "It is about search, proved for every finite space. There is nothing to test.",
        "d": "To be better on the problems you meet, a method must assume something that they have "
             "in common, such as smoothness. The theorem says that this is the only way.",
    },
    hints=["Averaged over what?",
           "What do the problems that you meet have in common, that most functions have not?",
           "Neighbours alike. Who uses that?"],
    followups=[("A colleague uses it to argue that tuning is pointless. Your answer?",
                "Our problems are not drawn uniformly from all functions. On the ones that we "
                "have, differences are measured every day.")],
    rows=["R129", "R024", "R143"],
)

open_question(
    "14.8", "Interview: which method for which problem?", difficulty=2, minutes=12, points=3,
    rubric=[
        "asks first whether a gradient is to be had, and uses it if so",
        "distinguishes by dimension: a handful, tens, thousands and more",
        "distinguishes discrete from continuous problems, and names a neighbourhood",
        "speaks of the budget, noise or parallel evaluations",
        "says how the choice would be tested: same budget, several seeds, held-out data",
    ],
    hints=["What would you ask about the problem before you name a method?",
           "Gradient? Dimension? Discrete? Noise? Budget? Parallel?",
           "One sentence for each of these, with the method that it leads to; then how you would "
           "check."],
    followups=[("And if your interviewer insists on one method for everything?",
                "Random search is the baseline that needs no assumptions; anything else must beat "
                "it at the same budget.")],
    rows=["R129", "R143", "R150", "E19"],
)
