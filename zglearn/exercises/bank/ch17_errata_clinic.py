"""Chapter 17: reviewing what others wrote, and the questions that an interviewer asks."""

import re
from itertools import combinations, pairwise

import numpy as np

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


def _left_over(reference, mistakes):
    """What comes of leaving some of the mistakes in: {their descriptions: reference(**them)}.

    Those of a single mistake come first.
    """
    groups = [some for n in range(1, len(mistakes) + 1) for some in combinations(mistakes, n)]
    return {"; and ".join(mistakes[name] for name in some):
            reference(**dict.fromkeys(some, True)) for some in groups}


# --- programs to repair -----------------------------------------------------------------------


def _perplexity(train, test, V, columns=False, spread=False, base=False, training=False):
    counts = np.ones((V, V))
    for a, b in pairwise(train):
        counts[a, b] += 1
    P = counts / counts.sum(axis=0 if columns else 1, keepdims=not spread)
    text = train if training else test
    nats = -np.log(P[text[:-1], text[1:]])
    return np.exp(np.mean(nats) / (np.log(2) if base else 1))


@exercise("17.1", "Repair: a perplexity that is too good", kind="debug", difficulty=2, minutes=12,
          points=3, names=["held_out_perplexity"],
          hints=["One mistake stops the program. Of the others, ask at each line: whose counts, "
                 "which sum, which logarithm, whose text?",
                 "P(b | a) = (count of a b + 1) / (count of a + V): the *rows* of P sum to 1. The "
                 "perplexity is exp of the mean of −ln P over the pairs of the test text.",
                 "counts of shape (classes, classes), starting at 1; divide by "
                 "counts.sum(axis=1, keepdims=True); np.log; the pairs of test"],
          followups=[
              ("Which of the mistakes makes the model look better than it is, and which test finds "
               "it?",
               "Measuring on the training text. Give the function a test text that has nothing to "
               "do with the training text: the perplexity must get worse, and here it did not "
               "change."),
              ("With columns for rows the perplexity is off by a percent or less. Why so little?",
               "Every token of a text is left as often as it is reached, so row sums and column "
               "sums are the same but for the two ends. No look at the result finds this mistake; "
               "a row of P that does not sum to 1 does."),
              ("Which number is the perplexity of a model that knows nothing?",
               "The number of classes: without training text every P is 1 / V. A limiting case "
               "that finds the wrong base at once."),
              ("Why not report the accuracy of the likeliest next token?",
               "It ignores how sure the model is, and most of language is not predictable to the "
               "word. And squared error between token numbers is meaningless: token 17 is not "
               "nearer to 18 than to 90.")],
          rows=["R141", "R144", "E95", "E21"])
def held_out_perplexity(answer, rng):
    V, (longer, shorter) = int(rng.integers(5, 8)), rng.integers((55, 35), (66, 46))
    favourite = rng.permutation(V)

    def text(n, faithful):
        tokens = [int(rng.integers(V))]
        while len(tokens) < n:
            follow = rng.random() < faithful
            tokens.append(int(favourite[tokens[-1]] if follow else rng.integers(V)))
        return tokens

    mistakes = {
        "columns": "each column of P sums to 1; P(b | a) needs rows that do",
        "base": "the logarithm has base 2, and exp undoes the natural one",
        "training": "the pairs of the training text are scored: the model has seen these"}

    def reference(**left):
        return _perplexity(train, test, V, **left)

    for _ in range(200):
        train, test = text(longer, 0.8), text(shorter, 0.4)
        known = _left_over(reference, mistakes) | {
            "a row of sums is spread over the rows: `keepdims=True` makes it a column":
                reference(spread=True),
            "the exponential is missing": np.log(reference())}
        outcomes = sorted([reference(), *known.values()])
        if min(np.diff(outcomes)) > 1e-3:  # several mistakes show only at the texts' ends
            break
    case = f"{V} classes, a training text of {len(train)}, a test text of {len(test)}"
    got = answer.call("held_out_perplexity", train, test, V)
    expect(not isinstance(got, float) or np.isfinite(got), f"{case}: {got} came back. Some pair of "
           "the test text is impossible for the model: do the counts start at 1?")
    expect_close(got, reference(), rtol=1e-6, case=case,
                 mistakes=known,
                 usually="the mean is over the pairs of the test text, one fewer than its tokens")
    V, seldom = V + 3, rng.permutation(V)[:3].tolist()
    for train, test, case in ((seldom[:2] * 4, [*seldom, seldom[0]],
                               "a training text in which a token of the test text is missing"),
                              (seldom[:1], seldom[1:], "a training text of a single token")):
        expect_close(answer.call("held_out_perplexity", train, test, V), reference(), rtol=1e-6,
                     case=f"{V} classes, {case}", usually="all classes count, those that the "
                     "training text lacks as well, and so do all pairs of the test text")


def _fitted(train, s, everywhere=False):
    X, y = train
    return np.linalg.solve(X.T @ X + s * (1 if everywhere else np.eye(X.shape[1])), X.T @ y)


def _error(w, part):
    return np.mean((part[0] @ w - part[1]) ** 2)


def _errors(train, validation, s):
    """The squared and the absolute error on the validation part, and that on the training part."""
    w, (X, y) = _fitted(train, s), validation
    return _error(w, validation), np.abs(X @ w - y).mean(), _error(w, train)


def _selection(train, validation, test, strengths, everywhere=False, on_test=False, last=False):
    def fitted(s):
        return _fitted(train, s, everywhere)

    best = min(strengths, key=lambda s: _error(fitted(s), test if on_test else validation))
    return best, _error(fitted(strengths[-1] if last else best), test)


@exercise("17.2", "Repair: chosen by the examination", kind="debug", difficulty=2, minutes=15,
          points=3, names=["select"],
          hints=["Run it: the first mistake stops it. Then follow `w` through the loop: what does "
                 "it hold after the last turn? And which part decides?",
                 "w(s) = (XᵗX + s I)⁻¹ Xᵗy on the training part; the strength is the one with the "
                 "lowest error on the validation part; its error on the test part is reported.",
                 "a function fitted(s) and a function error(w, part); "
                 "best = min(strengths, key=…); return best, error(fitted(best), test)"],
          followups=[
              ("By how much does choosing on the test part flatter?",
               "It depends on how many settings are tried and how small the part is: the lowest of "
               "many noisy errors is low by luck. Try it with pure noise as y."),
              ("Why did `X.T @ X + s` raise no error?",
               "A number is added to every entry of a matrix. It penalizes the sum of the weights "
               "instead of their squares: a different model, fitted without complaint."),
              ("The parts come from the same source files. What is wrong with the result then?",
               "The error is that of a reader who has seen the file. Split by file.")],
          rows=["R144", "R143", "E96"])
def select(answer, rng):
    d = rng.permutation([4, 5, 6])
    for n, kind in enumerate(["between", *rng.permutation(["weakest", "strongest"])]):
        _one_selection(answer, rng, int(d[n]), kind)


def _one_selection(answer, rng, d, kind):
    """A problem whose best strength stands between the others, or at an end: then whoever comes
    from the other end sees the error on the validation part rise before it falls."""
    strengths = np.geomspace(0.01, 100, rng.integers(5, 8)).tolist()
    at_an_end = {"weakest": strengths[0], "strongest": strengths[-1]}.get(kind)
    tried = rng.permutation(strengths).tolist()
    if at_an_end:  # it is tried as the first, or the last
        tried.sort(key=lambda s: (s == at_an_end) ^ (kind == "weakest"))
    mistakes = {
        "everywhere": "s is added to every entry of XᵗX, not to its diagonal",
        "on_test": "the strength was chosen on the test part, which is for the report only",
        "last": "the error is that of the weights fitted last, not of those of the chosen strength"}

    def told_apart(train, validation, test):
        """Whether all mistakes, and all groups of them, give something else."""
        errors = [_errors(train, validation, s) for s in strengths]
        squared, absolute, trained = np.transpose(errors)
        best = strengths[np.argmin(squared)]
        if np.diff(np.sort(squared))[0] < 1e-3 * squared.min():
            return False
        if at_an_end:
            rises = np.diff(squared if kind == "strongest" else squared[::-1]) > 0
            return best == at_an_end and rises[0]
        if (best in (min(strengths), max(strengths))  # the choice of the training part
                or best in (strengths[np.argmin(e)] for e in (absolute, squared + trained))):
            return False
        parts = train, validation, test
        outcomes = [_selection(*parts, tried),
                    *_left_over(lambda **k: _selection(*parts, tried, **k), mistakes).values()]
        singles = [outcomes[0], *outcomes[1:4]]
        return (len({round(o[1], 6) for o in outcomes}) > 5
                and all(abs(a[1] - b[1]) > 1e-3 for a, b in combinations(singles, 2)))

    for _ in range(2000):
        w, units = rng.normal(size=d), np.where(np.arange(d) % 2 & bool(at_an_end), 1 / 30, 1)
        parts = []
        for rows in (9, 7, 8):
            X = rng.normal(size=(rows, d)) + 0.5
            parts.append((X * units, X @ w + (3 if at_an_end else 1.5) * rng.normal(size=rows)))
        if told_apart(*parts):
            break
    got = expect_parts(answer.call("select", *parts, tried), 2, case="nine, seven and eight "
                       "rows", what="the chosen strength and its error on the test part")
    best, error = (float(as_array(g, case="what came back", shape=())) for g in got)
    right = _selection(*parts, tried)
    if np.allclose((best, error), right, rtol=1e-5):
        return
    known = _left_over(lambda **left: _selection(*parts, tried, **left), mistakes)
    for mistake, outcome in known.items() if kind == "between" else ():
        if np.allclose((best, error), outcome, rtol=1e-5):
            incorrect(f"expected strength {right[0]:g} with error {right[1]:.4g}, got {best:g} "
                      f"with {error:.4g}. It looks as if {mistake}.")
    expect(np.isclose(best, right[0]), f"expected strength {right[0]:g}, got {best:g}. Of all "
           f"{len(tried)} that are tried it is the one with the lowest mean squared error on "
           "the validation part.")
    incorrect(f"the strength is right, but its error on the test part is {right[1]:.4g}, and "
              f"{error:.4g} came back. Is it the mean of the squares, with the weights fitted on "
              "the training part alone?")


@exercise("17.3", "Repair: an annealing that never cools", kind="debug", difficulty=3, minutes=15,
          points=4, in_place=True, names=["anneal"],
          hints=["Test it at the two ends. At a temperature near zero it must only go down; at a "
                 "huge one it must accept everything. What does yours do?",
                 "A trial is x plus a normal step of 0.1 in each coordinate. Accept it if it is "
                 "better, else with probability exp(−change / T). T is multiplied by 0.99.",
                 "keep x with its loss, and best with its loss; after each accepted trial update "
                 "x, and best if it is lower; cool at the end of each turn; return best"],
          followups=[
              ("Which of the mistakes could you have found without reading the code?",
               "All but the crash: by the two limiting temperatures, by the mean of the trials' "
               "steps, and by asking for the lowest loss met."),
              ("Is it gradient-free, and what does that cost?",
               "Yes: it compares values and nothing else. A worse trial tells only that this one "
               "direction was bad, so the number of trials grows with the dimension."),
              ("An article shows its output, and all numbers lie between 0 and 1. What do you "
               "suspect?",
               "That `random` between 0 and 1 was never changed by the program, or that the "
               "program was never run. Run it.")],
          rows=["R025"])
def anneal(answer, rng):
    d = int(rng.integers(240, 261))
    box = _Annealed(rng, d)
    uphill = _Annealed(rng, d, steps=100, only_worse=True, hot=not box.hot)
    end_of_uphill = uphill.search(answer)  # asked first: the first question is asked again
    end = as_array(box.search(answer), case=f"{box.steps} steps", shape=box.x.shape)
    trials, accepted = len(box.chances), np.array(box.accepted)
    step = np.array(box.moves) / 0.1
    expect(trials, "the loss was never asked at a new point.")
    expect((step < 0).any(axis=1).all() and (step > 0).any(axis=1).all(), "all coordinates of a "
           "trial lie on the same side of the current point: a normal step has both signs, and "
           "each coordinate its own.")
    expect(abs(step.std() - 1) < 0.02 and abs(step.mean()) < 0.02,
           f"the trials' steps have the mean {0.1 * step.mean():.3g} and the standard deviation "
           f"{0.1 * step.std():.3g} in a coordinate; expected 0 and 0.1. They start at the point "
           "that was accepted last.")
    size = np.abs(step).mean() / step.std()
    expect(abs(size - 0.798) < 0.01, "the trials' steps are not normal: their mean size is "
           f"{size:.3f} standard deviations; that of a normal step is 0.798.")
    alike = np.abs(step @ step.T - np.diag(np.sum(step**2, axis=1))).max() / d
    expect(alike < 0.6, "two of the trials' steps are alike, or opposite: each trial draws a new "
           "one, in each coordinate.")
    expect(trials == box.steps, f"{trials} trials were made, expected {box.steps}: one a step.")

    chance, kind = np.array(box.chances[:len(accepted)]), np.array(box.kinds[:len(accepted)])
    early, late = np.arange(len(accepted)) < 150, np.arange(len(accepted)) >= 600
    some = chance < 1
    cooled = 0.99 ** np.arange(len(accepted))
    rules = {
        "": chance,
        "every trial is accepted": 0 * chance + 1,
        "T stays as it was at first": chance**cooled,
        "T grows from turn to turn": chance ** (cooled**2),
        "a worse trial is accepted with probability 1 − exp(−change / T)": 1 - chance}
    fit = {rule: np.log(np.abs(p - ~accepted)[some].clip(1e-9)).sum() for rule, p in rules.items()}
    close, closest = sorted(fit, key=fit.get)[-2:]
    p, times = rules[closest], [some & when for when in (early, late, ~early & ~late)]
    off = [abs(np.sum((accepted - p)[t])) / np.sqrt(1 + np.sum((p * (1 - p))[t])) for t in times]
    if fit[closest] > max(fit[""] + 20, fit[close] + 5) and max(off) < 3.5:  # it describes all
        seen = [f"{100 * accepted[some & when].mean():.0f} %" for when in (early, late)]
        incorrect(f"of the first worse trials {seen[0]} were accepted and of the late ones "
                  f"{seen[1]}, where by exp(−change / T), with T = {box.first:.3g} at first, it "
                  f"should be about {100 * chance[some & early].mean():.0f} % and "
                  f"{100 * chance[some & late].mean():.0f} %. It looks as if {closest}.")
    seen, wanted = (100 * v[some & early].mean() for v in (accepted, chance))
    expect(abs(seen - wanted) < 25, f"of the first worse trials {seen:.0f} % were accepted; by "
           f"exp(−change / T), with T = {box.first:.3g} at first, it should be about "
           f"{wanted:.0f} %. Look at the sign, and at which side of the comparison is which.")
    expect(accepted[kind == 0].all(), "a better trial was not accepted. It always is.")
    seen, wanted = (100 * v[some & late].mean() for v in (accepted, chance))
    expect(seen - wanted < 25, f"of the late worse trials {seen:.0f} % were accepted, where T has "
           f"fallen so far that it should be {wanted:.0f} %. Each turn multiplies T by 0.99.")
    expect(wanted - seen < 25, f"of the late worse trials {seen:.0f} % were accepted, where it "
           f"should be {wanted:.0f} %: T falls too fast. Each turn multiplies it by 0.99.")
    for k in (1, 2):
        seen, wanted, n = accepted[kind == k].mean(), chance[kind == k][0], (kind == k).sum()
        expect(abs(seen - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / n),
               f"of {n} worse trials that are to be accepted with probability {wanted:.2f}, "
               f"{100 * seen:.0f} % were. It is exp(−change / T).")
    lowest = min(box.losses.values())
    got = box.losses.get(end.astype(float).tobytes())
    expect(got is not None, "the point that came back was never asked for its loss.")
    expect(got == lowest, f"the point that came back has the loss {got:.6g}; one with "
           f"{lowest:.6g} was met. Return the best point met.")

    end = as_array(end_of_uphill, case="100 worse trials", shape=uphill.x.shape)
    expect(np.array_equal(end, uphill.x), "all trials were worse than the start, and another point "
           "came back. The start counts as well.")
    accepted, chance = np.array(uphill.accepted), uphill.chances[0]
    expect(abs(accepted.mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / len(accepted)),
           f"with T = {uphill.first:.3g} at first, {100 * accepted.mean():.0f} % of the worse "
           f"trials were accepted; by exp(−change / T) it should be about {100 * chance:.0f} %.")
    expect(not np.allclose(box.moves[0], uphill.moves[0]), "the trials are the same in every call: "
           "draw them from the `rng` that is passed in, not from a source of your own.")


class _Annealed:
    """A loss that makes each trial as much worse as it likes, and sees what becomes of it.

    In so many dimensions, a next trial shows from its distance whether the last one was accepted.
    Kind 0 is a better trial; a worse one of kind 1 or 2 is to be accepted with a fixed chance, at
    whatever temperature the search should have by then.
    """

    def __init__(self, rng, d, steps=1500, only_worse=False, hot=None):
        self.rng, self.steps, self.only_worse = rng, steps, only_worse
        self.hot = rng.random() < 0.5 if hot is None else hot
        self.first = rng.uniform(20, 40) if self.hot else rng.uniform(0.1, 0.2)
        self.x = rng.normal(size=d)
        self.current, self.current_loss = self.x, self.first * rng.uniform(3, 9)
        self.losses = {self.x.tobytes(): self.current_loss}
        self.trial = None
        self.accepted, self.chances, self.kinds, self.moves = [], [], [], []

    def search(self, answer):
        return answer.call("anneal", self, self.x.copy(), self.steps, self.first,
                           np.random.default_rng(self.rng.integers(2**63)))

    def __call__(self, point):
        point = np.array(point, dtype=float)
        if point.shape != self.x.shape:
            raise ValueError(f"a point has shape {self.x.shape}, not {point.shape}")
        key = point.tobytes()
        if key not in self.losses:
            self.losses[key] = self._new(point)
        return self.losses[key]

    def _new(self, point):
        if self.trial is not None:
            near, before = (np.sum((point - p) ** 2) for p in (self.trial, self.current))
            self.accepted.append(near < before)
            if near < before:
                self.current, self.current_loss = self.trial, self.losses[self.trial.tobytes()]
        T = self.first * 0.99 ** len(self.chances)
        down = 0.8 if len(self.chances) < 40 else 0.2  # so that the lowest loss is soon met
        kind = int(self.rng.choice(3, p=[down, (1 - down) / 3, (1 - down) * 2 / 3]))
        share = (-self.rng.uniform(0.1, 0.5), 0.3, 1.2)[kind]
        if self.only_worse:
            kind, share = 2, 0.6
        self.kinds.append(kind)
        self.chances.append(min(1.0, np.exp(-share)))
        self.moves.append(point - self.current)
        self.trial = point
        return self.current_loss + share * T


@exercise("17.4", "Repair: data and a line, both wrong", kind="debug", difficulty=2, minutes=12,
          points=3, names=["make_data", "fit"],
          hints=["Look at the two functions apart. What are the shape of `y` and the mean of "
                 "`y - 2 * x - 1`? And when does the fit make its prediction?",
                 "A column (n, 1) plus a row (n,) is a matrix (n, n). `rng.random` has the mean ½. "
                 "The error has to be that of the present θ, and θ has to be able to hold "
                 "fractions.",
                 "x of shape (n,); y = 2 * x + 1 + rng.uniform(-0.5, 0.5, n)\n"
                 "theta = np.zeros(2); inside the loop: error = y - theta[0] - theta[1] * x"],
          followups=[
              ("With which intercept would a right fit have come back from the wrong data?",
               "With 1.5: the mean of the noise goes into the intercept. A reader who expects 1 "
               "then looks for the mistake in the fit."),
              ("Why is a prediction made before the loop a mistake of the concept, and not a slip?",
               "Then the loss does not depend on the parameters: its gradient is always the same, "
               "and θ walks on for ever. Some articles even write the loss that way, as a function "
               "of y and ŷ with θ beside them."),
              ("Which check would have stopped all of this at the beginning?",
               "Data with a known answer and no noise: the fit must return (1, 2) to many digits."),
              ("The article adds that its parameters \"predict the price of a house\". Do they?",
               "They were fitted to numbers that the program itself made. They predict those.")],
          rows=["R104", "E90", "E101"])
def make_data(answer, rng):
    n = 2000
    x, y = _data(answer, n, rng.integers(2**63))
    noise = y - 2 * x - 1
    expect(x.min() >= 0 and x.max() <= 1 and x.std() > 0.2, "the x are not spread between 0 and 1.")
    expect(_is_even(x), "the x are not spread evenly between 0 and 1: some tenths of the way hold "
           "many more of them than others.")
    expect(abs(noise.mean()) < 0.04, f"the noise, y − 2x − 1, has the mean {noise.mean():.2f}: it "
           "moves the intercept. It is to lie between −½ and ½.")
    expect(0.26 < noise.std() < 0.32, f"the noise has a standard deviation of {noise.std():.2f}; "
           "a uniform one between −½ and ½ has 0.29.")
    expect(np.abs(noise).max() < 0.5 + 1e-9, f"some of the noise, up to {np.abs(noise).max():.2f}, "
           "lies beyond ½: it is to be spread evenly between −½ and ½.")
    expect(_is_even(noise + 0.5), "the noise, y − 2x − 1, is not spread evenly between −½ and ½.")
    together = np.corrcoef(x, noise)[0, 1]
    expect(abs(together) < 5 / np.sqrt(n), f"the noise, y − 2x − 1, goes with x: their correlation "
           f"is {together:.2f}. Draw it anew for each point.")
    drawn = {}
    for seed in rng.integers(4, size=12).tolist():
        x, y = _data(answer, 5, seed)
        for part, numbers in (("x", x), ("noise", y - 2 * x - 1)):
            numbers = np.round(numbers, 6).tolist()
            expect(drawn.setdefault((part, seed), numbers) == numbers, f"make_data gives different "
                   f"{part} for the same `rng`: draw from the one that is passed in.")
    for part in ("x", "noise"):
        each = [tuple(numbers) for (name, _), numbers in drawn.items() if name == part]
        expect(len(set(each)) == len(each), f"make_data gives the same {part} for every `rng`: "
               "draw from the one that is passed in.")
    _fit(answer, rng)


def _data(answer, n, seed):
    got = answer.call("make_data", n, np.random.default_rng(seed))
    x, y = (as_array(part, case="make_data") for part in
            expect_parts(got, 2, case="make_data", what="x and y"))
    expect(x.shape == y.shape and x.size == n,
           f"make_data({n}, rng): x has shape {x.shape} and y has shape {y.shape}; expected {n} "
           "numbers each. A column (n, 1) plus a row (n,) makes a matrix.")
    return x.ravel(), y.ravel()


def _is_even(numbers) -> bool:
    """Whether they may be drawn uniformly from 0 to 1 (Kolmogorov and Smirnov, at 1e-6)."""
    n = len(numbers)
    return np.abs(np.sort(numbers) - (np.arange(n) + 0.5) / n).max() < 2.7 / np.sqrt(n)


def _fit(answer, rng):
    n = int(rng.integers(30, 50))
    x = rng.uniform(size=n)
    y = rng.normal() + rng.uniform(1, 3) * x + 0.1 * rng.normal(size=n)
    lr, steps = 0.5, 3000

    def ended(y, steps):
        case = f"fit with lr = 0.3 and steps = {steps}"
        return as_array(answer.call("fit", x, y, 0.3, steps), case=case).ravel()

    ended(y, 3)  # this, too, is asked again when all is done
    start = ended(y, 0)
    expect(np.array_equal(start, ended(-y, 0)), "with steps = 0 the line depends on y already: it "
           "is to be found by gradient descent, one step after the other, from the same start.")
    stale = lr * steps * np.array([y.mean(), (x * y).mean()])
    want = np.polyfit(x, y, 1)[::-1]
    expect_close(answer.call("fit", x, y, lr, steps), want, rtol=1e-4,
                 case=f"fit on {n} random points, with lr = 0.5 and 3000 steps", mistakes={
                     "the prediction is made once, before the loop: θ walks on with the first "
                     "error": stale,
                     "the prediction is made once, before the loop, and θ walks on with the first "
                     "error, twice as fast": 2 * stale,
                     "slope and intercept are exchanged: the intercept comes first": want[::-1]},
                 usually="the step goes uphill, or not by lr times the mean of the error, and of "
                         "the error times x")
    for steps in rng.permutation([1, 2, 9]):
        paths = [_descended(start, x, y, 0.3 * factor, steps) for factor in (1, 2)]
        got = ended(y, int(steps))
        if not any(np.allclose(got, path, rtol=1e-5, atol=1e-6) for path in paths):
            expect_close(got, paths[0], case=f"fit with lr = 0.3, after {steps} steps", mistakes={
                "one step too many was taken": _descended(start, x, y, 0.3, steps + 1),
                "one step too few was taken": _descended(start, x, y, 0.3, steps - 1),
                "lr is not used": _descended(start, x, y, 1, steps)},
                usually="a step is not lr times the means of the error, and of the error times x, "
                        "both at the θ before it; or their number is not `steps`")


def _descended(theta, x, y, lr, steps):
    for _ in range(steps):
        error = y - theta[0] - theta[1] * x
        theta = theta + lr * np.array([error.mean(), (error * x).mean()])
    return theta


# --- formulas and black boxes -----------------------------------------------------------------

METHODS = ("gradient descent", "momentum", "adagrad", "rmsprop", "adam")


def _steps(method, G, lr, beta, rho, b2, eps, damped):
    """The steps (n, d) that a method takes from a fresh start when it is given gradients (n, d)."""
    m, v, steps = np.zeros(G.shape[1]), np.zeros(G.shape[1]), []
    for t, g in enumerate(G, start=1):
        if method == "gradient descent":
            steps.append(-lr * g)
        elif method == "momentum":
            m = beta * m + (1 - beta if damped else 1) * g
            steps.append(-lr * m)
        elif method == "adam":
            m, v = beta * m + (1 - beta) * g, b2 * v + (1 - b2) * g**2
            steps.append(-lr * m / (1 - beta**t) / (np.sqrt(v / (1 - b2**t)) + eps))
        else:
            v = v + g**2 if method == "adagrad" else rho * v + (1 - rho) * g**2
            steps.append(-lr * g / (np.sqrt(v) + eps))
    return np.array(steps)


TAKEN_FOR = {
    ("momentum", "gradient descent"): "give it a gradient, then none: momentum still moves",
    ("adam", "rmsprop"): "give it a gradient, then none: Adam still moves",
    ("adam", "momentum"): "both remember the direction; give it gradients ten times as large, and "
                          "see whether the steps are",
    ("momentum", "adam"): "both remember the direction; give it gradients ten times as large, and "
                          "see whether the steps are",
    ("adagrad", "gradient descent"): "give both gradients ten times as large: Adagrad's steps do "
                                     "not change",
    ("rmsprop", "adagrad"): "give both the same gradient many times: with n equal gradients "
                            "Adagrad's step is exactly 1/√n of the first",
    ("adagrad", "rmsprop"): "give both the same gradient many times: with n equal gradients "
                            "Adagrad's step is exactly 1/√n of the first",
}


def _told_apart_by(method, got):
    """A question to the box for pairs that nobody need know more about."""
    remembers = [name for name in (method, got) if name in ("momentum", "adam")]
    if len(remembers) == 1:
        return f"give it a gradient, then none: {remembers[0]} still moves"
    return "give it gradients ten times as large, and see whether the steps are"


@exercise("17.5", "Which optimizer is in the box?", kind="implement", difficulty=3, minutes=20,
          points=4, names=["which"],
          hints=["Do not guess from the size of the steps: the learning rate is unknown. Ask what "
                 "happens when *your* gradients change.",
                 "Two questions sort them: does the step grow with the gradients (scale)? Does it "
                 "move when a gradient is followed by zero (memory)? Then Adagrad against RMSprop: "
                 "after n equal gradients, Adagrad's step is 1/√n of the first, exactly.",
                 "a = ask(ones); b = ask(10 * ones); c = ask([1, 0]) …\n"
                 "scales = b is 10 a; remembers = c's second step is not 0\n"
                 "of the two that are left: a[3] / a[0] is 1/2 for Adagrad"],
          followups=[
              ("Which of your questions would an article's formula for Adam without √v fail?",
               "The scale test: multiplied by ten, its gradients make steps ten times as long. It "
               "is momentum with another learning rate."),
              ("How would you find β₁ of the Adam in the box?",
               "Ask with [1, 0, 0, …]: up to the known corrections, the steps fall by β₁ each."),
              ("Your training loss is multiplied by 1000 and the curve stays the same to the last "
               "digit but one. Which methods can it be?",
               "Those whose step does not scale: Adagrad, RMSprop, Adam, the sign of the "
               "gradient. The digit is ε.")],
          rows=["R138", "R127", "E55"])
def which(answer, rng):
    corners = rng.permutation([(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    for high in corners[:4].tolist() + (1 - corners[:4]).tolist():  # from one end, and the other
        lr, memory, damped = high
        for method in map(str, rng.permutation(METHODS)):
            hyper = dict(lr=10 ** rng.uniform(*((-4, -3.95), (-0.1, 0))[lr]),
                         beta=rng.uniform(*((0.5, 0.55), (0.9, 0.95))[memory]),
                         rho=rng.uniform(*((0.8, 0.82), (0.985, 0.99))[memory]),
                         b2=rng.uniform(0.99, 0.999), eps=1e-8, damped=bool(damped))

            asked = []

            def ask(gradients, method=method, hyper=hyper, asked=asked):
                G = np.array(gradients, dtype=float)
                if G.ndim != 2 or len(G) == 0:
                    raise ValueError("ask with an array of shape (steps, weights)")
                asked.append(len(G))
                return _steps(method, G, **hyper)

            got = answer.call("which", ask)
            expect(isinstance(got, str) and got in METHODS,
                   f"expected one of {', '.join(map(repr, METHODS))}, got {got!r}.")
            if got != method:
                advice = TAKEN_FOR.get((method, got)) or _told_apart_by(method, got)
                if asked == [1]:
                    advice = ("the length of one step tells nothing, for lr is unknown; compare "
                              "several answers")
                elif asked and max(asked) == 1:
                    advice = ("what a method remembers shows in no single step; ask for several "
                              "in a row")
                incorrect(f"{method}, with lr {hyper['lr']:.2g}, was taken for {got}. A way to "
                          f"tell them apart: {advice}.")


@exercise("17.6", "Other units, the same run", kind="derive", difficulty=3, minutes=12, points=3,
          names=["same_run"],
          hints=["Write down what becomes of the gradient: loss over weight. Then of the step, "
                 "which must be in the unit of the weights.",
                 "The gradient becomes c/s times as large, the Hessian c/s². A step has to become "
                 "s times as long. ε stands beside a root of squared gradients.",
                 "for gradient descent and momentum: lr · (c/s) · k = s · lr, solve for k; for "
                 "the adaptive ones the ratio does not change at all; ε must scale like g"],
          followups=[
              ("An article prints θ ← θ − α m̂ / √(1 − β₂ᵗ) as Adam. What does the dimension check "
               "say?",
               "α must have the unit weight² / loss, as in gradient descent. Adam's α has the unit "
               "of a weight. So it cannot be Adam, whatever the words say; √v is missing."),
              ("Another one writes ε inside the root, √(v + ε). Which unit has that ε?",
               "That of a squared gradient: it scales with (c/s)². The two ε are not comparable, "
               "and 1e-8 inside means 1e-4 outside."),
              ("Which method needs no new setting at all, and why?",
               "Newton's: H⁻¹g has the unit of a weight by itself, so its rate is a pure number.")],
          rows=["R009", "R017", "E43", "E63"])
def same_run(answer, rng):
    plain, adaptive = ("gradient descent", "momentum"), ("adagrad", "rmsprop", "adam")
    for method in map(str, rng.permutation([*plain, *adaptive, "newton"])):
        lr, eps = 10 ** rng.uniform(-3, -1), 10 ** rng.uniform(-8, -3)
        c, s = (rng.uniform(*between) ** rng.choice([-1, 1]) for between in ((2, 5), (6, 20)))
        case = f"{method}, c = {c:.3g}, s = {s:.3g}"
        got = expect_parts(answer.call("same_run", method, lr, eps, c, s), 2, case=case,
                           what="the new lr and the new eps")
        got = [as_array(part, case=case, shape=()) for part in got[:1 + (method in adaptive)]]
        if method in plain:
            expect_close(got[0], lr * s**2 / c, case=f"{case}: lr", rtol=1e-6, mistakes={
                "the gradient was scaled, but not the step: that must be s times as long": lr * s /
                c, "the change of the loss alone was seen; the weights changed, too": lr / c,
                "it is the wrong way round: a larger loss needs a smaller rate": lr * c / s**2,
                "the rate stays as it is, which holds for no method that steps along g": lr},
                usually="a step along g has the unit of loss over weight, times lr; it has to "
                        "become s times as long")
        elif method in adaptive:
            expect_close(got[0], lr * s, case=f"{case}: lr", rtol=1e-6, mistakes={
                "the rate was treated as that of gradient descent; here the step is lr times a "
                "pure number": lr * s**2 / c,
                "the rate makes up for the larger gradient, which the method divides away; the "
                "step has to become s times as long": lr * s / c,
                "the rate makes up for the larger loss, which the method divides away": lr / c,
                "the rate was left alone, but it has the unit of a weight": lr,
                "the rate was divided by s: the new numbers are larger, and so is a step": lr / s},
                usually="here a step is lr times a pure number, and becomes s times as long")
            expect_close(got[1], eps * c / s, case=f"{case}: eps", rtol=1e-6, atol=0, mistakes={
                "eps was left alone; it stands beside a gradient": eps,
                "eps was scaled as a squared gradient, as if it stood inside the root":
                    eps * (c / s) ** 2,
                "eps was scaled with the loss only": eps * c},
                usually="eps stands beside a gradient, and has to change as a gradient does")
        else:
            expect_close(got[0], lr, case=f"{case}: lr", rtol=1e-6, mistakes={
                "Newton's step was treated as one along the gradient": lr * s**2 / c,
                "Newton's rate was given the unit of a weight; H⁻¹g has it already": lr * s},
                usually="H⁻¹g has the unit of a weight, so lr is a pure number")


@exercise("17.7", "A formula and its limits", kind="implement", difficulty=2, minutes=12, points=3,
          names=["failed"],
          hints=["What is the velocity when γ = 0? And when nothing is ever forgotten?",
                 "Under a steady gradient, v = g + γv once it has settled. So gain(0) = 1, the "
                 "gain grows without bound as γ → 1, and gain = 1 + γ · gain for every γ.",
                 "begin with an empty list; append \"start\" if gain(0) is not 1; \"end\" if "
                 "gain(1 − 1e-6) is not huge, say above 100; \"between\" if gain(γ) and "
                 "1 + γ · gain(γ) differ at some γ"],
          followups=[
              ("1/√(1 − γ²) passes both limits. Is that evidence for it?",
               "Weak evidence: many formulas share two limits. The third test, an equation that "
               "holds everywhere, decides. (That root does appear: it is the spread of the "
               "velocity when the gradient is pure noise of size 1.)"),
              ("Which limits would you try on a formula for the steps that a method needs?",
               "Condition number 1, dimension 1, no noise, start at the minimum, and an unknown "
               "taken to infinity."),
              ("Why not gain(1) itself?",
               "It does not exist: the right formula divides by zero there. Go near, not there.")],
          rows=["R007", "R009", "E37"])
def failed(answer, rng):
    k, p = rng.uniform(2, 4), rng.choice([0.25, 0.75, 0.8, 0.9])  # where this one is right
    formulas = [
        ("1/(1 − γ)", lambda g: 1 / (1 - g), []),
        (f"1/(1 − γ) up to γ = 0.45, {k:.2f}/(1 − γ) above",
         lambda g: (1 if g < 0.45 else k) / (1 - g), ["between"]),
        ("1/√(1 − γ²)", lambda g: 1 / np.sqrt(1 - g * g), ["between"]),
        (f"1/(1 − γ)^{k:.2f}", lambda g: (1 - g) ** -k, ["between"]),
        (f"1 + {k:.2f} γ", lambda g: 1 + k * g, ["between", "end"]),
        (f"1 + {10 * k:.1f} γ⁸", lambda g: 1 + 10 * k * g**8, ["between", "end"]),
        (f"1 − {k:.2f} γ/(1 − γ)", lambda g: 1 - k * g / (1 - g), ["between", "end"]),
        *((f"1/(1 − γ) from γ = {a} to {b}, (1 + {k:.2f} γ)/(1 − γ) elsewhere",
           lambda g, a=a, b=b: (1 if a <= g <= b else 1 + k * g) / (1 - g), ["between"])
          for a, b in pairwise((0.3, 0.6, 0.8, 0.95))),
        (f"(1 + {k / 50:.2f} γ)/(1 − γ)", lambda g: (1 + k / 50 * g) / (1 - g), ["between"]),
        (f"{1 + k / 50:.2f}/(1 − γ)", lambda g: (1 + k / 50) / (1 - g), ["between", "start"]),
        (f"(1 + 2γ(γ − {p:g}))/(1 − γ)", lambda g: (1 + 2 * g * (g - p)) / (1 - g), ["between"]),
        ("(1 + 2γ(γ − ½))/(1 − γ)", lambda g: (1 + 2 * g * (g - 0.5)) / (1 - g), ["between"]),
        ("γ/(1 − γ)", lambda g: g / (1 - g), ["between", "start"]),
        (f"{k:.2f}/(1 − γ)", lambda g: k / (1 - g), ["between", "start"]),
        ("1 − γ", lambda g: 1 - g, ["between", "end"]),
        (f"{k:.2f}", lambda g: k, ["between", "end", "start"])]
    why = {"start": "with γ = 0 there is no memory, and the gain is 1",
           "end": "with γ near 1 almost nothing is forgotten, and the gain grows without bound",
           "between": "once it has settled, gain = 1 + γ · gain, at every γ; try several"}
    for n in rng.permutation(len(formulas)):
        name, formula, wanted = formulas[n]

        def gain(gamma, formula=formula):
            gammas = np.asarray(gamma, dtype=float)
            if not ((gammas >= 0) & (gammas < 1)).all():
                raise ValueError("γ must be at least 0 and less than 1")
            gains = np.array([formula(float(g)) for g in gammas.flat], dtype=float)
            return gains.reshape(gammas.shape) if gammas.ndim else float(gains[0])

        got = answer.call("failed", gain)
        got = got.tolist() if isinstance(got, np.ndarray) and got.ndim == 1 else got
        expect(isinstance(got, list | tuple | set) and set(got) <= set(why),
               f"expected a list of some of {', '.join(map(repr, why))}, got {got!r}.")
        for test, reason in why.items():
            expect(test in got or test not in wanted,
                   f"the gain {name} fails the test {test!r}, and your function lets it pass: "
                   f"{reason}.")
            expect(test not in got or test in wanted,
                   f"the gain {name} passes the test {test!r}, and your function says that it "
                   f"fails: {reason}.")


# --- references and data ----------------------------------------------------------------------


def _expect_none(wrong):
    """Tell the first of these complaints, {place of the case: complaint or ""}.

    Cases are asked in a new order each time and stand from common to special: what is wrong with a
    common one says most.
    """
    for place in sorted(wrong):
        expect(not wrong[place], wrong[place])


@exercise("17.8", "What an arXiv number tells", kind="implement", difficulty=2, minutes=15,
          points=3, names=["arxiv_date"],
          hints=["Two schemes, so two patterns. What is the same in both?",
                 "Since April 2007: YYMM, a point, and four digits until 1412, five from 1501 on. "
                 "Before, until March 2007: archive (with a class such as .GT or without), a "
                 "slash, YYMM and three digits; there 91 to 99 are the years 1991 to 1999.",
                 "re.fullmatch for each scheme, with groups for YY, MM and the rest; then check "
                 "the month, the range of months, the number of digits, and that the number is "
                 "not 0"],
          followups=[
              ("What can you decide from a number alone, and what not?",
               "That it cannot exist, or the month in which it was announced. Not whether it was "
               "ever given out, and nothing about title, authors or subject: numbers since 2007 "
               "carry no subject. For that you have to look."),
              ("A reference from 2019 has a number that begins with 2203. What follows?",
               "The number belongs to a paper of March 2022, so number or year is wrong."),
              ("Should a reviewer write \"fabricated\" when a number leads to another paper?",
               "Write what was found: the number belongs to that paper, and a search for the title "
               "in such and such places found nothing. The cause is for the author to say.")],
          rows=["R153", "E111", "E112"])
def arxiv_date(answer, rng):
    yy, mm = int(rng.integers(15, 25)), int(rng.integers(1, 13))
    early, n = int(rng.integers(8, 15)), int(rng.integers(1, 10_000))
    old, turn = int(rng.integers(92, 100)), int(rng.integers(7))
    new, four = f"{yy:02}{mm:02}.{n:05}", f"{early:02}{mm:02}.{n:04}"
    before = f"{old}{mm:02}{n % 999 + 1:03}"
    cases = [
        (new, (2000 + yy, mm), "year and month stand in front of the point"),
        (four, (2000 + early, mm), "until December 2014 the number has four digits"),
        (f"{yy:02}13.{n:05}", None, "there is no such month"),
        (f"{yy:02}00.{n:05}", None, "months are counted from 1"),
        (f"{new}v3", (2000 + yy, mm), "a version may stand at the end"),
        (f"arXiv:{new}", (2000 + yy, mm), "`arXiv:` may stand in front"),
        (f"{early:02}{mm:02}.{n:05}", None, "until December 2014 the number has four digits, and "
         "this one has five"),
        (f"{yy:02}{mm:02}.{n:04}", None, "from January 2015 on the number has five digits, and "
         "this one has four"),
        ("1412.9999", (2014, 12), "the last month with four digits"),
        ("1501.00001", (2015, 1), "the first month with five digits"),
        (f"{yy:02}{mm:02}.00000", None, "numbers are counted from 1"),
        (f"hep-th/{before}", (1900 + old, mm), "an old number: years from 91 on are in the last "
         "century"),
        (f"math.GT/{before}v1", (1900 + old, mm), "an old number may name a class, such as GT"),
        ("hep-th/9108001", (1991, 8), "the years from 91 on are in the last century"),
        ("hep-th/9008001", None, "the year would be 2090, and the old scheme ended in 2007"),
        (f"hep-th/{before}.", None, "there must be nothing else in the text"),
        ("cs/0703999", (2007, 3), "the last month of the old scheme"),
        ("cs/0704001", None, "the old scheme ended in March 2007"),
        ("0703.0001", None, "the new scheme began in April 2007"),
        ("0704.0001", (2007, 4), "the first number of the new scheme"),
        (f"{new}0", None, "this has six digits behind the point"),
        (f"{new} and more", None, "there must be nothing else in the text"),
        (f"v3{new}", None, "the version stands at the end"),
        ("", None, "an empty text"),
        (f"{yy:02}{mm:02}.{n + 10_000}", (2000 + yy, mm), "since 2015 a month may have more than "
         "9999 papers"),
        (f"{new}v12", (2000 + yy, mm), "a paper may have more than nine versions"),
        (f"{new}v", None, "behind the v stands the version's number"),
        (f"arXiv:hep-th/{before}", (1900 + old, mm), "`arXiv:` may stand in front of it"),
        (f"hep-th/{before}v2", (1900 + old, mm), "an old number may have a version as well"),
        (f"hep-ph/{turn:02}{mm % 3 + 1:02}{n % 999 + 1:03}", (2000 + turn, mm % 3 + 1),
         "the years from 00 on are in this century"),
        (f"hep-th/{old}13{n % 999 + 1:03}", None, "there is no such month"),
        (f"hep-th/{before}1", None, "an old number has year, month and three digits"),
        (f"hep-th/{before[:-1]}", None, "an old number has year, month and three digits"),
        (f"/{before}", None, "an archive stands in front of the slash"),
        (new.replace(".", "-"), None, "a point stands between month and number"),
        (f"{early:02}{mm:02}.0000", None, "numbers are counted from 1"),
    ]
    wrong = {}
    for i in rng.permutation(len(cases)):
        number, wanted, why = cases[i]
        got = answer.call("arxiv_date", number)
        if got is not None:
            got = expect_parts(got, 2, case=repr(number), what="the year and the month")
        right = got == wanted or (got is not None and wanted is not None
                                  and np.array_equal(got, wanted))
        wrong[i] = "" if right else (f"{number!r}: expected {wanted}, got {got}. "
                                     f"{why[0].upper()}{why[1:]}.")
    _expect_none(wrong)


def _isbn(rng, swap_by_five=False):
    """Twelve digits and the check digit that completes them."""
    digits = [9, 7, int(rng.integers(8, 10)), *map(int, rng.integers(10, size=9))]
    if swap_by_five:
        digits[5] = int(rng.integers(5))
        digits[6] = digits[5] + 5
    return digits + [-sum(x * (1, 3)[i % 2] for i, x in enumerate(digits)) % 10]


def _hyphens(digits):
    text = "".join(map(str, digits))
    return "-".join((text[:3], text[3], text[4:7], text[7:12], text[12]))


@exercise("17.9", "A number that checks itself", kind="implement", difficulty=2, minutes=12,
          points=3, names=["isbn_ok", "doi_prefix"],
          hints=["For the ISBN: digits only, thirteen of them, then one sum. For the DOI: what "
                 "stands in front of the slash?",
                 "ISBN-13: the digits times 1, 3, 1, 3, … sum to a multiple of 10; it begins with "
                 "978 or 979. DOI: `10.` and the registrant's digits, a slash, and something.",
                 "digits = [int(ch) for ch in text if ch.isdigit()] after only blanks and hyphens "
                 "were taken out; for the DOI a pattern such as (10\\.\\d{4,}…)/."],
          followups=[
              ("Which typing errors does the check digit of an ISBN catch, and which not?",
               "Every single wrong digit, since 1 and 3 have no factor in common with 10. Of two "
               "neighbours exchanged it misses those that differ by 5: the sum then changes by "
               "10."),
              ("The sum is right. Is the book real?",
               "One invented number in ten passes. A sum can refute, not confirm."),
              ("What does a DOI's prefix tell?",
               "Who first registered it, not who publishes it today, and nothing about the paper. "
               "A DOI that does not resolve was not registered, or is misprinted.")],
          rows=["R152"])
def isbn_ok(answer, rng):
    good, even = _isbn(rng), _isbn(rng, swap_by_five=True)
    place = int(rng.integers(3, 12))
    typo = list(good)
    typo[place] = (typo[place] + int(rng.integers(1, 10))) % 10
    swapped = even.copy()
    swapped[5:7] = swapped[6:4:-1]
    foreign = [[9, 7, int(third), *good[3:12]] for third in rng.permutation(8)[:2]]
    for digits in foreign:
        digits.append(-sum(x * (1, 3)[i % 2] for i, x in enumerate(digits)) % 10)
    round_ = next(one for one in iter(lambda: _isbn(rng), None) if one[-1] == 0)
    cases = [
        (_hyphens(good), True, "it is a right one, with hyphens"),
        ("".join(map(str, good)), True, "it is a right one, without hyphens"),
        (_hyphens(good).replace("-", " "), True, "it is a right one, with blanks"),
        ("978-0-596-51649-9", True, "it is on the cover of a book on language processing"),
        (_hyphens(typo), False, "one digit was changed, so the sum is wrong"),
        (_hyphens(swapped), True, "two neighbours that differ by 5 were exchanged: the sum cannot "
         "see that"),
        *((_hyphens(digits), False, "the sum is right, but it does not begin with 978 or 979")
          for digits in foreign),
        (_hyphens(good)[:-2], False, "it has twelve digits only"),
        ("".join(map(str, round_[:-1])), False, "it has twelve digits only"),
        (_hyphens(good) + "0", False, "it has fourteen digits"),
        (_hyphens(good).replace("-", "."), False, "there are points in it"),
        ("ISBN " + _hyphens(good), False, "there are letters in it"),
        ("0-306-40615-2", False, "this is an ISBN of ten digits"),
        (_hyphens(good) + "x", False, "there is a letter in it"),
        ("", False, "an empty text")]
    for _ in range(12):
        one = _isbn(rng)
        right = bool(rng.integers(2))
        one[-1] = one[-1] if right else (one[-1] + int(rng.integers(1, 10))) % 10
        cases.append((_hyphens(one), right, "the sum is a multiple of 10" if right else
                      "the sum is no multiple of 10"))
    wrong = {}
    for i in rng.permutation(len(cases)):
        text, wanted, why = cases[i]
        got = answer.call("isbn_ok", text)
        right = isinstance(got, bool | int) and bool(got) == wanted
        wrong[i] = "" if right else f"isbn_ok({text!r}): expected {wanted}, got {got!r}: {why}."
    _expect_none(wrong)
    _doi(answer, rng)


def _doi(answer, rng):
    prefix, tail = f"10.{rng.integers(1000, 99999)}", f"a.{rng.integers(100, 999)}/B(1)"
    cases = [
            (f"{prefix}/{tail}", prefix, "the prefix is what stands in front of the first slash"),
            (f"https://doi.org/{prefix}/{tail}", prefix, "a DOI is often given as a link"),
            (f"doi:{prefix}/{tail}", prefix, "`doi:` may stand in front"),
            ("10.48550/arXiv.1412.6980", "10.48550", "papers on arXiv have such a DOI"),
            (f"{prefix}.12/{tail}", f"{prefix}.12", "a registrant may divide its number by points"),
            (f"{prefix}.12.3/{tail}", f"{prefix}.12.3", "a registrant may divide its number by "
             "points, and the parts again"),
            (f"{prefix[:7]}/{tail}", prefix[:7], "a registrant's number may have four digits"),
            (f"{prefix[:6]}/{tail}", None, "a registrant's number has four digits or more"),
            (f"10.{'x' * 5}/{tail}", None, "a registrant's number consists of digits"),
            (f"10-{prefix[3:]}/{tail}", None, "a point stands behind the 10"),
            (prefix, None, "nothing follows the prefix"),
            (f"{prefix}/", None, "nothing follows the slash"),
            (f"11{prefix[2:]}/{tail}", None, "every DOI begins with 10."),
            ("https://doi.org/", None, "there is no DOI in it")]
    wrong = {}
    for i in rng.permutation(len(cases)):
        text, wanted, why = cases[i]
        got = answer.call("doi_prefix", text)
        wrong[i] = "" if got == wanted else (f"doi_prefix({text!r}): expected {wanted!r}, got "
                                             f"{got!r}: {why}.")
    _expect_none(wrong)


LISTINGS = {
    "1412.6980": ("Adam: A Method for Stochastic Optimization", ["Kingma", "Ba"], 2014),
    "1603.09246": ("Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles",
                   ["Noroozi", "Favaro"], 2016),
    "1703.03864": ("Evolution Strategies as a Scalable Alternative to Reinforcement Learning",
                   ["Salimans", "Ho", "Chen", "Sidor", "Sutskever"], 2017),
    "1704.00028": ("Improved Training of Wasserstein GANs",
                   ["Gulrajani", "Ahmed", "Arjovsky", "Dumoulin", "Courville"], 2017),
    "2202.08587": ("Gradients without Backpropagation",
                   ["Baydin", "Pearlmutter", "Syme", "Wood", "Torr"], 2022),
    "2203.13370": ("Upper Bounds For Families Without Weak Delta-Systems", ["Naslund"], 2022),
    "2305.17333": ("Fine-Tuning Language Models with Just Forward Passes",
                   ["Malladi", "Gao", "Nichani", "Damian", "Lee", "Chen", "Arora"], 2023),
}
VERDICTS = ("real", "wrong authors", "not that paper", "no such title")


@exercise("17.10", "Check the references", kind="implement", difficulty=2, minutes=15, points=4,
          names=["judge"],
          hints=["Two ways lead into the listings: by the number and by the title. What if they "
                 "lead to different papers?",
                 "Number listed under another title: \"not that paper\". Title found nowhere: \"no "
                 "such title\". A cited author who is not in the listing: \"wrong authors\". "
                 "Titles are compared as words, without capitals and signs.",
                 "words = lambda title: re.findall(r\"\\w+\", title.lower())\n"
                 "found = the number under which this title is listed, or None\n"
                 "then the four verdicts, in the order of the table"],
          followups=[
              ("The title is not in your listings. What do you write in the review?",
               "\"We found no paper of this title in …\", with the places and the date. That a "
               "thing does not exist cannot be shown by not finding it."),
              ("A reference is real, but has nothing to do with the sentence that cites it. Which "
               "check finds that?",
               "Only reading. That is the most common fault, and no number shows it."),
              ("Why is the year no ground for a verdict here?",
               "A preprint of 2014 is published in 2015 and in a journal in 2017. A difference of "
               "years is a reason to look.")],
          rows=["R153", "E111", "E112", "E113", "E114"])
def judge(answer, rng):
    listings = {number: {"title": title, "authors": list(authors), "year": year}
                for number, (title, authors, year) in LISTINGS.items()}
    gone = str(rng.choice(["1603.09246", "1704.00028", "2203.13370"]))  # one of the notebook's
    del listings[gone]
    order = [str(number) for number in rng.permutation(list(listings))]
    one, two, three = order[:3]
    several = next(n for n in order if len(listings[n]["authors"]) > 2)
    dashed = next(n for n in order if "-" in listings[n]["title"])

    def cited(number, **changes):
        title, authors, year = LISTINGS[number]
        return {"title": title, "authors": list(authors), "year": year, "arxiv": number} | changes

    title = LISTINGS[one][0]
    others = LISTINGS[two][1]
    invented = "A Convergence Law for Forward-Only Language Models"
    cases = [
        (cited(one), "real", "all of it stands so in the listings"),
        (cited(one, title=title.lower()), "real", "capital letters do not matter"),
        (cited("1412.6980", title="Adam - A Method for Stochastic Optimization"), "real",
         "a dash or a colon, signs do not matter"),
        (cited(several, authors=[LISTINGS[several][1][0], "et al."]), "real",
         "\"et al.\" stands for the authors who are not named"),
        (cited(two, year=LISTINGS[two][2] + 1), "real", "a preprint may appear a year later"),
        (cited(three, arxiv=None), "real", "without a number, title and authors decide"),
        (cited(dashed, title=LISTINGS[dashed][0].replace("-", " ")), "real",
         "a hyphen does not matter"),
        (cited(several, authors=LISTINGS[several][1][::-1]), "real",
         "all cited authors are among those listed, in whatever order"),
        (cited(one, authors=list(others)), "wrong authors", "these people wrote another paper"),
        (cited(several, authors=[others[0] + "berg", "et al."]), "wrong authors",
         "the author who is named is not among those listed"),
        (cited(one, authors=[LISTINGS[one][1][0][:-1]]), "wrong authors",
         "a part of a name is another name"),
        (cited(one, authors=list(others), arxiv=None), "wrong authors",
         "these people wrote another paper, and the title alone leads to the listing"),
        *((cited(several, authors=[*LISTINGS[several][1][:n], "Lindqvist",
                                   *LISTINGS[several][1][n:2]]), "wrong authors",
           "one of the cited authors is not among those listed") for n in (1, 2)),
        (cited(one, arxiv=three), "not that paper",
         "the title is listed, but the number is that of another paper"),
        (cited(one, arxiv=three, authors=list(others)), "not that paper",
         "the number is that of another paper, whoever wrote this one"),
        (cited(one, title=f"{title} Revisited"), "not that paper",
         "a title with one more word is another title"),
        (cited(one, title=" ".join(title.split()[::-1])), "not that paper",
         "the same words in another order are another title"),
        (cited(gone), "no such title", "it is not in the listings that were given"),
        (cited(one, title=invented, authors=["Lindqvist"]), "not that paper",
         "the number is that of a paper with another title"),
        (cited(one, title=" ".join(title.split()[:2])), "not that paper",
         "the beginning of a title is not the title"),
        (cited(one, title=re.sub(r"(\w) (\w)", r"\1\2", title, count=1), arxiv=None),
         "no such title",
         "two words that are written as one are another word"),
        (cited(one, title=invented, arxiv=None), "no such title",
         "the authors are real people, but neither title nor number is listed"),
        (cited(one, title=invented, arxiv="2107.99999"), "no such title",
         "neither this title nor this number is listed")]
    wrong = {}
    for i in rng.permutation(len(cases)):
        reference, wanted, why = cases[i]
        shown = (f"{', '.join(reference['authors'])}: {reference['title']} ({reference['year']}), "
                 f"arXiv {reference['arxiv']}")
        got = answer.call("judge", reference, listings)
        expect(isinstance(got, str) and got in VERDICTS, f"{shown}: expected one of "
               f"{', '.join(map(repr, VERDICTS))}, got {got!r}.")
        wrong[i] = "" if got == wanted else (f"{got!r}, where {wanted!r} was expected, as {why}. "
                                             f"The reference: {shown}.")
    _expect_none(wrong)


@exercise("17.11", "A leak detector", kind="implement", difficulty=2, minutes=10, points=3,
          names=["leaks"],
          hints=["In which two ways can a test snippet be known from the training part?",
                 "By its file, which also gave a training snippet; or by its words, which stand in "
                 "the training part under another file's name.",
                 "files = {file for file, text in train}; texts = {words(text) for …} with words = "
                 "tuple(text.lower().split()); return [i for i, (file, text) in enumerate(test) "
                 "if …]"],
          followups=[
              ("A split by file reports 70 %, a split by line 90 %. Which is right?",
               "Both, for different questions. For new files, the 70 %. The 90 % holds for new "
               "lines of files that the model has seen."),
              ("What else can leak, with the parts perfectly apart?",
               "Anything computed on all rows before the split: means, vocabularies, selected "
               "features, the SVD. And choices made by looking at the test result."),
              ("Does a gradient-free optimizer leak more, or less?",
               "Neither. A leak of this kind is in the data, whatever fits the model to it.")],
          rows=["R144", "R045", "E28", "E22"])
def leaks(answer, rng):
    words = ["axis", "plot", "array", "value", "shape", "index", "line", "sum", "row", "mean"]

    def text():
        return " ".join(rng.permutation(words)[:6])

    known, fresh = [text() for _ in range(4)], [text() + " too" for _ in range(4)]
    train = [("a.py", known[0]), ("b.py", known[1]), ("c.py", known[2]), ("c.py", known[3])]
    train += [(f"more{i}.py", text() + " more") for i in range(1 + rng.integers(4))]
    spaced = "\t" + "  ".join(known[2].split()).replace(" ", "\n", 1) + "\n"
    kinds = [
        (("x.py", fresh[0]), False, "neither its file nor its words are in the training part"),
        (("a.py", fresh[1]), True, "another snippet of its file is in the training part"),
        (("y.py", known[1]), True, "the same text is in the training part under another file"),
        (("y.py", known[3].upper()), True, "the same words in capitals are in the training part"),
        (("z.py", spaced), True, "the same words, spaced otherwise, are in the training part"),
        (("z.py", train[4][1]), True, "the same text is in the training part under another file"),
        (("x.py", known[0] + " too"), False, "the words are not the same: one more follows"),
        (("v.py", " ".join(known[0].split()[::-1])), False, "the words stand in another order"),
        (("v.py", known[0].replace(" ", "", 1)), False, "two words in one are another word"),
        (("lib/a.py", fresh[0]), False, "its file is another one, in a folder"),
        (("y.py", known[1]), True, "the same text is in the training part under another file"),
        (("ba.py", fresh[2]), False, "its file is another one, though the names are alike"),
        (("w.py", fresh[3]), False, "neither its file nor its words are in the training part")]
    for known_to_it, n in ((train, len(kinds)), (train, 0), ([], len(kinds))):
        order = rng.permutation(len(kinds))[:n]
        test = [kinds[i][0] for i in order]
        wanted = [p for p, i in enumerate(order) if kinds[i][1] and known_to_it]
        got = answer.call("leaks", known_to_it, test)
        expect(isinstance(got, list | tuple | set | np.ndarray), f"expected a list of positions in "
               f"the test part, got {got!r}.")
        got = as_array(list(got), case="the positions")
        expect(got.dtype != bool, "expected positions, such as [0, 3], and not a yes or no for "
               "each snippet.")
        expect(all(i in range(len(test)) for i in got) and len(set(got)) == len(got),
               f"{got.tolist()} are not positions in the test part of {len(test)}, each once.")
        for i in range(len(kinds)):
            if i not in order:
                continue
            p = list(order).index(i)
            expect((p in got) == (p in wanted),
                   f"{'not reported' if p in wanted else 'reported, but no leak'}: "
                   f"{kinds[i][0]}. Here "
                   f"{kinds[i][2] if known_to_it else 'the training part is empty'}.")


# --- claims -----------------------------------------------------------------------------------

choice(
    "17.12", "Does the table bear the claim?", difficulty=2, minutes=5, points=2, right="c",
    options={
        "a": "A step is not a unit of cost. One of ES's steps is 100 forward passes, one of Adam's "
             "about three: at the same number of steps ES had thirty times the compute.",
        "b": "Whether 0.04 is much cannot be seen from the number. It has to be compared with how "
             "much the result changes from seed to seed, and the table does not say that.",
        "c": "Three advantages at once: compute, tuning, and the best of five. What the table does "
             "bear is that there is a setting with which ES got to 2.06 in 100,000 forward passes.",
        "d": "Held-out loss is what we want to know. The training loss would reward learning the "
             "training text by heart, in either method.",
    },
    hints=["What would have to be the same in both rows for the difference to be one of methods?",
           "Count: forward passes (a gradient is about three), rates tried, runs of which one is "
           "shown.",
           "ES: 1,000 · 100 passes, twelve rates, the best of five. Adam: 1,000 · 3, one rate, one "
           "run."],
    followups=[
        ("Which table would bear it?",
         "The same budget in forward-equivalents, the same number of rates for both, chosen on "
         "validation data, then five fresh seeds each with all five results or their spread."),
        ("The claim becomes: \"ES needs less memory\". What does the table say to that?",
         "Nothing; there is no column for it. The claim may well be true.")],
    rows=["R132", "R145", "R150", "R138"],
)

STATEMENTS = {
    "a": (True, "this is how its authors put it (Kingma and Ba, 2015). \"Momentum and RMSprop with "
                "bias correction\" is the mechanical reading; both may stand"),
    "b": (True, "this is the kernel of truth in all articles on the subject: black boxes, scores "
                "that count, whole numbers, memory for inference only"),
    "c": (False, "Adagrad keeps the *sum*; its steps fall like 1/√t. The average is RMSprop's"),
    "d": (False, "interpretability belongs to the model. Fit the same convex model in both ways, "
                 "and the same weights come out"),
    "e": (False, "token numbers are names. Being wrong by one is no better than being wrong by "
                 "ninety, and cross-entropy asks for the probability of the right one"),
    "f": (True, "the direction is drawn again from its seed, so that nothing of the model's size "
                "is stored beyond the weights"),
    "g": (False, "BERT is an encoder: it fills gaps, and sees both sides of them. GPT writes from "
                 "left to right"),
    "h": (True, "\"can\" is the word. In the chapter on momentum some starts got over the barrier "
                "and most did not; there is no guarantee"),
    "i": (True, "the prediction multiplies the same matrices, wherever their entries came from. "
                "An optimizer's choice shows in training"),
    "j": (False, "a rule that sees the weights alone makes the same step for every data set. It "
                 "cannot learn from what it does not see"),
}


@exercise("17.13", "Ten sentences, some of them true", kind="concept", difficulty=2, minutes=8,
          points=3, names=["answer_17_13"],
          hints=["Do not count on an article being wrong throughout. Look for words that make a "
                 "sentence weaker, such as \"can\", and for words that make it exact.",
                 "For each sentence about a method, write down the method's formula and read the "
                 "sentence off it, or think of the run that would decide.",
                 "Half of them are true: two about Adam and its kind, one about memory, one about "
                 "when to do without gradients, one about prediction."],
          followups=[
              ("Which of the sentences would you rather see with its source?",
               "The first: it reports what authors said. The others can be run."),
              ("Why mix true sentences into a review exercise?",
               "A reviewer who rejects everything is as useless as one who accepts everything. "
               "Right things called wrong are errors, too.")],
          rows=["E49", "E55", "E08", "E21", "E23", "E42", "E14", "E11", "R123", "R146"])
def ten_sentences(answer, rng):
    chosen = answer.value("answer_17_13")
    chosen = np.ravel(chosen).tolist() if isinstance(chosen, np.ndarray) else chosen
    expect(isinstance(chosen, str | list | tuple | set)
           and all(isinstance(letter, str) for letter in chosen),
           'answer with the letters of the true sentences, for example "cd"')
    text = chosen if isinstance(chosen, str) else " ".join(chosen)
    letters = {ch for ch in re.sub(r"\band\b", "", text.lower()) if ch.isalpha()}
    strange = letters - set(STATEMENTS)
    expect(not strange, f"there is no sentence {', '.join(sorted(strange))}: the letters go from a "
           "to j. Answer with those of the true sentences.")
    truth = {letter for letter, (true, _) in STATEMENTS.items() if true}
    expect(letters, "you call every sentence false. Some of them are true; a review has to find "
           "these, too.")
    expect(letters != set(STATEMENTS), "you call every sentence true. Some of them are not.")
    wrong = sorted(letters ^ truth)
    if wrong:
        first = wrong[0]
        true, why = STATEMENTS[first]
        others = len(wrong) - 1
        more = f" Of your ten verdicts, {others} more {'is' if others == 1 else 'are'} wrong."
        more = more if others else ""
        incorrect(f"sentence {first} is {'true' if true else 'false'}: {why}.{more}")


# --- interview --------------------------------------------------------------------------------

open_question(
    "17.14", "Interview: for and against", difficulty=2, minutes=10, points=3, min_words=60,
    rubric=[
        "for: the memory of inference, and why (no stored activations, no averages)",
        "for: objectives without a usable gradient: black boxes, counts, discrete choices",
        "for: parallel work that exchanges only numbers; checkpoints made of seeds",
        "against: evaluations in proportion to the dimension, or better to the effective rank; "
        "gives a number",
        "against: noise, small steps, more tuning; and corrects at least one false advantage "
        "(cheaper, faster, no vanishing gradients, interpretable)",
    ],
    hints=["Three for and two against; each with its reason, not only its name.",
           "Memory, black boxes, communication; evaluations, noise. Which numbers do you remember "
           "from chapters 13 and 16?",
           "\"They save …, because …; they can …, where …; they cost …, about … times …\""],
    followups=[
        ("\"It saves computing time, as no gradient is computed.\" Right or wrong?",
         "Wrong in general: a gradient costs about three forward passes in any dimension, an "
         "estimate of it as many pairs of passes as there are directions that matter."),
        ("\"It avoids vanishing gradients.\" And this?",
         "Wrong: if the gradient is tiny, so is the difference of two losses, until rounding "
         "swallows it. The cures are in the network.")],
    rows=["R106", "R120", "R130", "R145", "R146", "E03", "E05"],
)

open_question(
    "17.15", "Interview: where it is used, and where it goes", difficulty=2, minutes=12, points=3,
    min_words=60,
    rubric=[
        "names real uses on language models with their year: black-box tuning of prompts (2022), "
        "MeZO (2023), ES on whole models (2025)",
        "says that large models, GPT-3 too, are pre-trained by first-order methods (Adam)",
        "says what these uses have in common: few directions that matter, or access to values only",
        "names directions of work with dates: better estimates per pass, low-rank perturbations, "
        "ES beside reinforcement learning, federated training with seeds",
        "says what is open, or how one would notice that the statement is out of date",
    ],
    hints=["Two halves: what has been done, with a year each; what people work on.",
           "2022: prompts behind an interface. 2023: fine-tuning with forward passes. 2025: ES on "
           "billions of weights. And what trained GPT-3?",
           "\"In 2022 …; in 2023 …; in 2025 …. All of these fine-tune. Pre-training …. It is open "
           "whether …\""],
    followups=[
        ("A candidate says: \"GPT-3 was optimized without gradients.\" What do you ask?",
         "For the source, and how many evaluations 175 billion parameters would have taken."),
        ("Why should an answer about trends carry dates?",
         "Because it is true on a day. \"In November 2025 …\" can be checked and corrected, "
         "\"the future is …\" cannot.")],
    rows=["R107", "R109", "R121", "R122", "R125", "R140", "R051", "E07", "E09"],
)

open_question(
    "17.16", "Interview: one example at a time", difficulty=1, minutes=8, points=2, min_words=50,
    rubric=[
        "what it is: a gradient step after each example, that is, stochastic gradient descent "
        "with batch size 1; not a class of methods beside gradient descent",
        "for: many cheap steps in one pass over the data, little memory, data that arrive one by "
        "one, noise that may help over barriers",
        "against: noisy steps, so the rate must be small or fall; hardware is badly used; the "
        "order of the examples matters",
        "minibatches as the compromise, and what the batch size changes",
    ],
    hints=["Some articles call it \"single-step optimization\". Which method of chapter 03 is it?",
           "Say what it is, two advantages, two drawbacks, and the compromise.",
           "\"It is … with batch size …. For it speaks …, against it …. In practice one takes …\""],
    followups=[
        ("The article says that it makes translation faster. Does it?",
         "No. Prediction costs the same, whichever way the weights were found."),
        ("It lists \"efficient\" as an advantage and \"slow convergence\" as a drawback. Can both "
         "be right?",
         "Only with the axis named: cheap per step, many steps. Compare at equal compute.")],
    rows=["R135", "R136", "R137", "E14", "E15"],
)

open_question(
    "17.17", "Interview: which optimizer, and what does it change?", difficulty=2, minutes=10,
    points=3, min_words=60,
    rubric=[
        "a sensible default with a reason (Adam or AdamW for language models, momentum where it "
        "is tuned), and what would change it: memory, sparse features, a tiny problem",
        "how to find out: the same number of learning rates for each on a logarithmic grid, chosen "
        "on validation data, several seeds, the same budget",
        "reads more than the best value: how wide the range of good rates is, what it costs",
        "says where the choice shows: training time, memory in training, the weights found",
        "says where it does not: the time and memory of a prediction",
    ],
    hints=["Two questions: how do you choose, and what changes for the user?",
           "Protocol: same trials, same budget, validation, seeds. Effect: training, not "
           "prediction.",
           "\"I begin with …, because …. To decide I would …. For whoever uses the model, the "
           "choice changes …, and not ….\""],
    followups=[
        ("Which matters more, the method or its learning rate?",
         "The rate, in the race of chapter 11: all six basins were about equally deep, and outside "
         "of its own basin each method failed."),
        ("\"Choose the optimizer that makes real-time applications fast.\" Your reply?",
         "Real-time applications predict. What makes prediction fast is a smaller model, "
         "quantization, batching, caching.")],
    rows=["R138", "R139", "R132", "E14", "E76"],
)

open_question(
    "17.18", "Interview: what travels?", difficulty=3, minutes=10, points=3, min_words=60,
    rubric=[
        "the optimizer as such neither protects nor leaks data: encryption, access and consent "
        "are questions of storage and transport",
        "gradients that travel can betray the examples they were computed on",
        "with ES or MeZO on many machines, what travels is a seed and a number per step",
        "less travels, but a number that depends on private data still carries something: it is "
        "no proof of privacy; names noise with a guarantee (differential privacy), or the like",
        "the trained model itself can remember and repeat its training text, however it was "
        "trained",
    ],
    hints=["Ask of each method: what leaves the machine on which the data lie?",
           "A gradient is as long as the model. A loss is one number. What can be read from each?",
           "\"The optimizer does not …. But what is sent differs: …. This is less, but not "
           "nothing, because …. And the model …\""],
    followups=[
        ("Two machines train one model with MeZO. What exactly does each send per step?",
         "The seed of its direction and the slope, eight bytes or so. Both replay all steps, as in "
         "16.4."),
        ("Somebody calls this \"private by design\". What would you want to see?",
         "A stated attacker, a bound on what the numbers reveal, and an attack that was tried and "
         "failed. A small message is not a proof.")],
    rows=["R134", "R149", "E22"],
)

open_question(
    "17.19", "Interview: over-fitting", difficulty=1, minutes=8, points=2, min_words=50,
    rubric=[
        "how it is noticed: the training loss falls on while the loss on data kept apart rises, or "
        "a wide gap between the two",
        "cures by what they act on: more data, a smaller model, a penalty or weight decay, "
        "dropout, stopping early",
        "their strength is chosen on validation data, and the test part is used once",
        "pruning and quantization make a model smaller; whether they help against over-fitting "
        "has to be measured",
        "no optimizer prevents it: a low training loss is a low training loss, with gradients or "
        "without",
    ],
    hints=["Three parts: how do you see it, what do you do, and what does *not* belong here?",
           "Two curves; a list of cures; then pruning, quantization and the optimizer.",
           "\"I see it when …. I would …, as strongly as … says. Pruning …. The optimizer …\""],
    followups=[
        ("You tune the penalty until the test error is lowest. What have you done?",
         "Fitted the penalty to the test part: its error is now too good, as in 17.2."),
        ("Can early stopping be called a property of the optimizer?",
         "It is a rule about when to end, and works with any of them. What it limits is how far "
         "the weights get from their start.")],
    rows=["R133", "R132", "R144", "E17", "E96"],
)
