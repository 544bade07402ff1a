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
    expect_parts,
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
    cases = rng.permutation([
        (rng.uniform(0.1, 0.9), rng.uniform(0.3, 0.9)), (rng.uniform(1.1, 3), rng.uniform(1.1, 2)),
        (0.0, 1.3), (-rng.uniform(5, 20), 1.0), (-rng.uniform(0.1, 0.9), 0.7), (900.0, 1.0),
        (rng.uniform(0.12, 0.18), 0.02), (rng.uniform(10, 40), 30.0)])
    got = [answer.call("acceptance", delta, T) for delta, T in cases.tolist()]
    delta, T = cases.T
    want, up = np.exp(np.minimum(-delta / T, 0)), np.exp(np.minimum(delta / T, 700))
    mistakes = {
        "a step down has a probability above one: cut it at 1":
            np.exp(np.minimum(-delta / T, 700)),
        "the sign in the exponent is flipped: worse steps should be less likely": np.minimum(1, up),
        "T multiplies where it should divide": np.exp(np.minimum(-delta * T, 0)),
        "nothing worse is ever accepted: this is hill climbing": 1.0 * (delta <= 0),
        "everything is accepted: this is a random walk": 1 + 0 * delta,
        "this is the heat-bath rule, 1/(1 + exp(Δ/T)): Metropolis accepts every step down":
            1 / (1 + up),
        "T is ignored": np.exp(np.minimum(-delta, 0))}
    made = {what: value for what, value in mistakes.items() if _all_close(got, value)}
    for i, (change, heat) in enumerate(cases):
        expect_close(got[i], want[i], mistakes={what: value[i] for what, value in made.items()},
                     case=f"a loss that changes by {change:.3g} at T = {heat:.3g}",
                     usually="a step down is always taken, and so is one that changes nothing. A "
                             "step up is taken the less often, the higher it is, and the colder")


def _all_close(got, values) -> bool:
    try:
        return np.allclose(np.minimum(np.array(got, dtype=float).ravel(), 1e99),
                           np.minimum(values, 1e99))
    except (TypeError, ValueError):
        return False


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
    for n in rng.permutation([3, int(rng.integers(4, 8))]).tolist():
        T, f = rng.uniform(0.4, 1.5), rng.normal(size=n)
        f[0] = f[n - 1]
        f = rng.permutation(f)
        case = f"{n} states at T = {T:.2f}, two of equal loss"
        P = as_array(answer.call("metropolis_matrix", f, T), case=case, shape=(n, n))
        D = f[None, :] - f[:, None]
        want = np.minimum(1, np.exp(-D / T)) / (n - 1)
        np.fill_diagonal(want, 0)
        no_rest = want.copy()
        np.fill_diagonal(want, 1 - want.sum(axis=1))
        heat = np.exp(-f / T)[None, :].repeat(n, axis=0)
        i, j = np.unravel_index(np.argmin(P), P.shape)
        expect(P[i, j] > -1e-6, f"{case}: P[{i}, {j}] = {P[i, j]:.3g}, a probability below 0. What "
               f"is left for the diagonal when the others of row {i} are added up?")
        expect_close(P, want, case=case, mistakes={
            "refused proposals are lost: a row must sum to 1, so the rest stays where it is":
                no_rest,
            "this is Gibbs sampling: the next state does not depend on the present one":
                heat / heat.sum(axis=1, keepdims=True),
            "rows and columns are swapped: P[i, j] is the way from i to j": want.T,
            "accepted proposals are scaled up to sum to 1: refusing is part of the rule":
                no_rest / no_rest.sum(axis=1, keepdims=True)},
            usually="take one state i and go through its row: how likely is each other state to be "
                    "proposed, how likely to be accepted then, and what is left for i itself?")


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
    n, shares, near = int(rng.integers(14, 17)), [], []

    def crossed(mother, father):
        child = as_array(answer.call("crossover", mother, father, rng), case="a child", shape=(n,))
        if sorted(child.tolist()) != list(range(n)):
            incorrect("a child lacks letters of its parents: "
                      f"{sorted(set(range(n)) - set(child.tolist()))}. It is no permutation.")
        return child == mother, child == father

    for _ in range(400):
        as_mother, as_father = crossed(rng.permutation(n), rng.permutation(n))
        shares.append(((as_mother | as_father).mean(), (as_mother & ~as_father).mean(),
                       (as_father & ~as_mother).mean(), as_mother.all() or as_father.all()))
    either, mothers, fathers, copied = np.array(shares, dtype=float).T
    # Of children that take each cycle from one parent or the other, 45 % are no copies, ± 3 %.
    expect(1 - copied.mean() >= 0.25, f"of {len(copied)} children {copied.sum():.0f} are copies "
           "of one parent: hardly anything is crossed")
    # By chance one letter in eight stands where a parent has it; order crossover keeps 0.6.
    expect(either.mean() >= 0.25, f"only {either.mean():.0%} of the letters stand where a parent "
           "has them: that is a shuffle, not a crossing")
    for _ in range(60):
        mother = rng.permutation(n)
        father, (i, j) = mother.copy(), rng.choice(n, size=2, replace=False)
        father[[i, j]] = father[[j, i]]
        near.append(np.logical_or(*crossed(mother, father)).mean())
    expect(np.mean(near) >= 0.7, "of two parents that differ in two letters only, the children "
           f"have {np.mean(near):.0%} of their letters where a parent has them; the others could "
           "stand there as well")
    expect(either.mean() >= 0.5, f"{either.mean():.0%} of the letters stand where a parent has "
           "them; more of them could")
    # In order crossover 0.11 of them stand where only the father has them, by chance 0.04.
    for parent, share in (("mother", mothers), ("father", fathers)):
        share = share[copied == 0].mean()
        expect(share >= 0.085, f"only {share:.1%} of a child's letters stand where the {parent} "
               "alone has them, hardly more than by chance: a piece of each parent is in a child")
    for parent, others in (("mother", 1), ("father", 0)):
        changed = 0
        for _ in range(30):
            fixed, one, two = (rng.permutation(n) for _ in range(3))
            seed = int(rng.integers(2**32))
            children = [answer.call("crossover", *((other, fixed) if others else (fixed, other)),
                                    np.random.default_rng(seed)) for other in (one, two)]
            changed += list(children[0]) != list(children[1])
        expect(changed >= 2, f"another {parent} makes no difference to the child, with the same "
               "random numbers: both parents should be in it")
    for _ in range(60):  # a child that is sometimes changed afterwards shows
        same = rng.permutation(n)
        child = as_array(answer.call("crossover", same, same, rng), case="equal parents",
                         shape=(n,))
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
    d = int(rng.integers(2, 5))
    low = rng.uniform(-3, 1, size=d)
    high = low + rng.uniform(0.5, 4, size=d)

    def points(losses, seed, case):
        loss, asked = _scripted(losses)
        got = as_array(answer.call("random_search", Objective(loss), low, high,
                                   np.random.default_rng(seed), len(losses)), case=case, shape=(d,))
        expect(len(asked) == len(losses), f"{case}: {len(asked)} points were asked. Every question "
               "counts, also one that is asked twice, and none is left over")
        return got, np.array(asked)

    budgets = [int(rng.integers(150, 200)), int(rng.integers(200, 250)), 3600]
    seeds, seen = rng.integers(2**32, size=4), []
    for k, (place, level) in enumerate(zip(rng.permutation(["first", "last", "any"]).tolist(),
                                           rng.permutation([-20, 20, 1e9]), strict=True)):
        budget = budgets[k]
        case = f"a box in {d} dimensions, budget {budget}"
        losses = rng.normal(size=budget) + level
        best = {"first": 0, "last": budget - 1}.get(place, int(np.argmin(losses)))
        losses[best] -= 10
        got, asked = points(losses, seeds[k], case)
        expect((asked >= low - 1e-6).all() and (asked <= high + 1e-6).all(),
               f"{case}: a point lies outside the box")
        expect_close(got, asked[best], case=f"{case}: the best point", mistakes={
            "the last point was returned, not the best": asked[-1],
            "the first point was returned, not the best": asked[0],
            "the *worst* point was returned": asked[np.argmax(losses)]},
            usually="a point and its loss are kept together, and only if the loss is lower than "
                    "that of the best so far")
        seen.append((asked - low) / (high - low))
        if k == 0:
            again = points(losses, seeds[3], case)[1]
            same = (asked[:, None] == again[None, :]).all(axis=2).any(axis=1).sum()
            expect(same == 0, f"{case}: with another `rng`, {same} of the points are the same: "
                   "draw all from the `rng` that is passed in, not from a source of your own")
            again = points(rng.permutation(losses), seeds[0], case)[1]
            expect(np.allclose(again, asked), f"{case}: with other losses, and the same `rng`, "
                   "other points are asked. A random search samples the whole box to the end, "
                   "whatever it has found")
    u = np.concatenate(seen)
    for i in range(d):
        below, n = np.sort(u[:, i]), len(u)
        gap = (np.arange(n) + 0.5) / n - below
        worst = np.argmax(np.abs(gap))
        # Kolmogorov and Smirnov: once in ten million times the gap is as large by chance.
        expect(abs(gap[worst]) < 2.9 / n**0.5, f"in coordinate {i} the points do not fill the box "
               f"evenly: {(worst + 0.5) / n:.0%} of them lie in the first {below[worst]:.0%} of "
               "its length. Draw each coordinate uniformly between its own low and high")
    different = len(np.unique(u, axis=0))
    expect(different == len(u), f"only {different} of {len(u)} points are different. To ask the "
           "same one again tells nothing new, and is paid for")
    values = min(len(np.unique(column)) for column in u.T)
    expect(values > 0.9 * len(u), f"in one coordinate only {values} different values occur at "
           f"{len(u)} points: draw real numbers, not those of a grid")
    # Of n independent pairs a correlation is 0, give or take 1/√n.
    expect(np.abs(np.corrcoef(u.T) - np.eye(d)).max() < 5.5 / n**0.5, "the coordinates of a point "
           "go together: draw a random number for each, not one for all")
    pairs = [np.corrcoef(u[:-1, i], u[1:, i])[0, 1] for i in range(d)]
    expect(np.abs(pairs).max() < 5.5 / n**0.5, "each point depends on the one before: draw every "
           "one anew, anywhere in the box")


def _scripted(losses):
    """A loss that answers the k-th question with ``losses[k]``, and the points that were asked."""
    asked = []

    def loss(x):
        asked.append(np.array(x, dtype=float))
        return float(losses[len(asked) - 1]) if len(asked) <= len(losses) else np.inf

    return loss, asked


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
    for up, down in rng.permutation([
            (rng.uniform(1.05, 3), rng.uniform(0.3, 0.97)),
            (rng.uniform(2, 3), rng.uniform(0.97, 0.99)),
            (rng.uniform(1.01, 1.02), rng.uniform(0.3, 0.5))]).tolist():
        want = -math.log(down) / (math.log(up) - math.log(down))
        expect_close(answer.call("standstill", up, down), want, mistakes={
            "this is the share of failures": 1 - want,
            "factors multiply: their logarithms must balance, not they themselves":
                (1 - down) / (up - down),
            "this is the ratio of successes to failures": want / (1 - want)},
            case=f"a success multiplies σ by {up:.3g}, a failure by {down:.3g}",
            usually="multiply it out: after 1000 steps with your share of successes σ should be "
                    "where it began")


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


@exercise("14.9", "Successive halving, on a ledger", kind="implement", difficulty=2, minutes=12,
          points=3, names=["halving"],
          hints=["Who is still in, how far have they been trained, how far are they trained next? "
                 "Keep these three up to date, and the count.",
                 "A rung costs (settings left) times (end minus begin). A comparison with nan is "
                 "False, so sorting by losses that hold one goes wrong; np.argsort puts nan last.",
                 "left, begin = list(range(n)), 0; loop: losses = [train(i, begin, steps) for i in "
                 "left]; add to the total; if one is left return it; keep the best max(1, "
                 "len(left) // eta); begin, steps = steps, eta * steps"],
          followups=[
              ("What does it assume of a learning curve?",
               "That who is behind early stays behind. Curves cross: a small rate, a long warm-up "
               "or much weight decay lose at first and may win in the end."),
              ("Nobody knows whether they cross. What does Hyperband do about that?",
               "It shares the budget among several ladders, from many settings that are cut early "
               "to a few that are all trained to the end (Li et al. 2018)."),
              ("Everything else equal, what do n = 27 and eta = 3 cost, in trainings to the end?",
               "1 + 2/3 + 2/3 + 2/3: three trainings, for 27 settings that were tried.")],
          rows=["R143"])
def halving(answer, rng):
    cases, met = [], []
    for n, eta in rng.permutation([(20, 3), (9, 3), (int(rng.integers(24, 33)), 2),
                                   (int(rng.integers(9, 15)), 4)]).tolist():
        steps = int(rng.integers(3, 9))
        spread = (7e15, 1e15) if len(cases) == 1 else (0, 1)
        cases.append((n, steps, eta, _learning_curves(n, steps, spread, rng)))
    for n, steps, eta, loss in cases:
        asked = []

        def train(i, begin, end, loss=loss, asked=asked):
            asked.append((int(i), int(begin), int(end)))
            return loss(int(i), int(end))

        case = f"n = {n}, steps = {steps}, eta = {eta}"
        best, total = expect_parts(answer.call("halving", train, n, steps, eta), 2, case=case,
                                   what="the setting that is left and the steps in all")
        met.append([float(as_array(best, case=case, shape=())), sorted(asked),
                    float(as_array(total, case=case, shape=()))])
    fits = [what for what, slip in SLIPS.items()
            if all(_halved(*case, **slip) == came for case, came in zip(cases, met, strict=True))]
    for (n, steps, eta, loss), (best, asked, total) in zip(cases, met, strict=True):
        right, wanted, in_all = _halved(n, steps, eta, loss)
        case = f"n = {n}, steps = {steps}, eta = {eta}"
        for end in sorted({end for *_, end in wanted + asked}):
            got, due = ([part[:2] for part in parts if part[2] == end] for parts in (asked, wanted))
            expect(got == due, f"{case}: to step {end} there were trained {_told(got)}; it should "
                   f"be {_told(due)}. {_cause(fits, got, due)}")
        expect([best, total] != [in_all, right] or best == total, f"{case}: {best:.0f} and "
               f"{total:.0f} came back. First the setting that is left, then the steps in all")
        expect(best == right, f"{case}: setting {best:g} came back, but {right} is left. "
               "Usual cause: a place in the list of losses that is taken for the setting's own "
               "number.")
        expect_close(total, in_all, case=f"{case}: the steps trained in all", usually="a training "
                     "that goes on costs only the steps that are new")


def _cause(fits, got, due) -> str:
    """Where to look, if settings (number, begin) were trained to a step and others should be."""
    if len(fits) == 1:
        return f"It looks as if {fits[0]}."
    if not got or not due:
        return ("Usual cause: a training ends at eta times as many steps as the one before, the "
                "first at `steps`, and the last is that of a single setting.")
    if len({i for i, _ in got}) != len({i for i, _ in due}):
        return "Usual cause: how many of those that are left go on."
    if {i for i, _ in got} == {i for i, _ in due}:
        return "Usual cause: who goes on begins where its last training ended, and only once."
    return ("Usual cause: a nan among the losses, which spoils a sort, losses of an earlier step, "
            "or a place in the list of losses that is taken for the setting's own number.")


def _learning_curves(n, steps, spread, rng):
    """A loss for each setting and number of steps, normal with the mean and the deviation `spread`.
    The curves cross; a quarter diverges at once, and the one that is best at `steps` later."""
    seed, lost = int(rng.integers(2**32)), set(rng.choice(n, size=n // 4, replace=False).tolist())

    def drawn(i, end):
        return float(np.random.default_rng([seed, i, end]).normal(*spread))

    leader = min(set(range(n)) - lost, key=lambda i: drawn(i, steps))
    return lambda i, end: math.nan if i in lost or i == leader and end > steps else drawn(i, end)


def _halved(n, steps, eta, loss, *, anew=False, worst=False, up=False, idle=False):
    """[setting, what was trained (setting, begin, end), steps in all], or that of a usual slip."""
    left, begin, asked = list(range(n)), 0, []
    while True:
        if not (idle and len(left) == 1):
            asked += [(i, 0 if anew else begin, steps) for i in left]
        if len(left) == 1:
            return [left[0], sorted(asked), sum(end - begin for _, begin, end in asked)]
        losses = {i: loss(i, steps) for i in left}
        left.sort(key=lambda i: (math.isnan(losses[i]), -losses[i] if worst else losses[i]))
        left = left[:max(1, -(-len(left) // eta) if up else len(left) // eta)]
        begin, steps = steps, eta * steps


SLIPS = {
    "every rung begins anew: what is trained already is paid for twice": {"anew": True},
    "the worst go on, and not the best": {"worst": True},
    "the number that goes on is rounded up": {"up": True},
    "the last one is not trained on": {"idle": True},
}


def _told(parts):
    """Settings (number, begin) in words, from where they were trained."""
    begins = sorted({begin for _, begin in parts})
    return " and ".join(f"{[i for i, at in parts if at == begin]} from step {begin}"
                        for begin in begins) or "none"
