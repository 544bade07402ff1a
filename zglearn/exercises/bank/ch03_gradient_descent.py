"""Chapter 03: gradient descent."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_parts,
    incorrect,
)

choice(
    "03.1", "One step of what?", difficulty=1, minutes=4, points=1,
    right="d",
    options={
        "a": "Gradient descent with the whole batch also makes one update at a time. So does every "
             "iterative method: the name sets nothing apart.",
        "b": "That is Newton's method on a quadratic loss. It needs the matrix of second "
             "derivatives, which nobody stores for a language model.",
        "c": "Prediction costs the same multiplications, whoever found the weights. A better "
             "optimizer saves training time only.",
        "d": "Ask which of them is meant. Fewer examples per update is the sense in which it can "
             "be true, and then the comparison has to say at equal what: examples, time or "
             "updates.",
    },
    hints=["Which methods do *not* update the parameters one step at a time?",
           "An update, an example per update, a step to the answer: three meanings of one word. "
           "For which of them could \"faster than batch\" be true?",
           "Full-batch gradient descent: one update per pass. One example per update: n updates "
           "per pass. Compare after one pass, then compare by the clock on the wall."],
    followups=[
        ("What are the advantages of one example per update?",
         "Many updates per pass, so it learns most from each example seen, early on; it needs "
         "little memory and can follow data that keep arriving."),
        ("And the disadvantages?",
         "It cannot use matrix products, so it is slow by the clock; with a constant learning rate "
         "it never settles; the learning rate must be smaller."),
        ("What is the usual compromise?",
         "Small batches: nearly as much learned per example, at the speed of matrix products.")],
    rows=["R021", "R022", "R135", "R136", "R137", "E14", "E15"],
)


@exercise("03.2", "The gradient of a line", kind="derive", difficulty=1, minutes=8, points=2,
          names=["line_gradient"],
          hints=["Two parameters, so two numbers. Through which of them does each ŷ depend on x?",
                 "∂J/∂θ_j = 1/n Σ_i (ŷ_i − y_i) ∂ŷ_i/∂θ_j, with ∂ŷ_i/∂a = 1 and ∂ŷ_i/∂b = x_i.",
                 "error = a + b * x - y; return the mean of error, and the mean of error * x"],
          followups=[
              ("Someone drops the factor 1/n. What changes?",
               "The gradient is n times as long, in the same direction. Every learning rate that "
               "worked is n times too large."),
              ("Why is the letter i used twice in many printed derivations a real mistake?",
               "In Σ_i ∂(…)_i/∂θ_i one cannot tell examples from parameters; with 100 examples and "
               "two parameters the formula has no meaning."),
              ("And if the loss were the mean of |ŷ − y|?",
               "The error is replaced by its sign: every example pulls equally hard.")],
          rows=["R033", "R047", "R048", "E97", "E98", "E99", "E100"])
def line_gradient(answer, rng):
    for n in (7, 12):
        x, y = rng.normal(2, 1, size=n), rng.normal(size=n)
        a, b = rng.normal(size=2)
        error = a + b * x - y
        want = np.array([error.mean(), (error * x).mean()])
        case = f"{n} random points"
        got = expect_parts(answer.call("line_gradient", x, y, a, b), 2, case=case,
                           what="the derivatives by a and by b")
        expect_close(as_array(got, case=case, shape=(2,)), want, case=case, mistakes={
            "the minus sign of the inner derivative got lost: this points downhill": -want,
            "the errors are summed; this loss is a mean": n * want,
            "the ½ was forgotten: it cancels the 2 of the square": 2 * want,
            "the two derivatives are swapped: the one by a comes first": want[::-1],
            "∂ŷ/∂b is x, and here it is missing": np.array([error.mean(), error.mean()])},
            usually="go through the chain rule once more with a single point, then take the mean")
    # Losses of 1e36: their differences have lost all digits, the derivatives none.
    x, y, (a, b) = rng.normal(2, 1, size=9), 1e18 * rng.normal(size=9), rng.normal(size=2)
    error = a + b * x - y
    case = "9 points whose y are about 1e18"
    got = expect_parts(answer.call("line_gradient", x, y, a, b), 2, case=case,
                       what="the derivatives by a and by b")
    expect_close(as_array(got, case=case, shape=(2,)), [error.mean(), (error * x).mean()],
                 case=case, usually="the differences of two losses are taken, and digits are lost "
                 "in them: the derivative is a formula")


@exercise("03.3", "Check any gradient", kind="implement", difficulty=2, minutes=10, points=3,
          names=["numerical_gradient"],
          hints=["A derivative asks what happens if *one* coordinate moves and all others stay.",
                 "g_j ≈ (f(x + h e_j) − f(x − h e_j)) / 2h, with e_j zero but for a 1 at j.",
                 "g = np.zeros_like(x); for j in range(x.size): e = np.zeros_like(x); e[j] = h; "
                 "g[j] = (f(x + e) - f(x - e)) / (2 * h)"],
          followups=[
              ("How many losses does it ask, and why is it not used for training?",
               "Two for each parameter. For 12,000 parameters 24,000 losses a step, where the "
               "formula costs about three."),
              ("How would you check the gradient of a model with a million parameters?",
               "Along a few random directions u: compare g · u with (f(x + hu) − f(x − hu)) / 2h. "
               "Two losses for each direction."),
              ("Why not take h = 1e-15?",
               "x + h rounds to x, or nearly: the difference of two equal numbers is noise. "
               "Chapter 13 looks for the best h.")],
          rows=["R047", "E99"])
def numerical_gradient(answer, rng):
    d = int(rng.integers(4, 8))
    A, c = rng.normal(size=(d, d)), rng.uniform(1, 2, size=d)
    x = rng.uniform(0.5, 1.5, size=d)
    x[rng.integers(d)] = 0

    def f(x):
        x = np.asarray(x, dtype=float)
        return float(np.sum(c * x**3) + np.sin(A @ x).sum())

    def gradient(x):
        return 3 * c * x**2 + A.T @ np.cos(A @ x)

    case = f"a smooth function of {d} variables"
    got = as_array(answer.call("numerical_gradient", f, x), case=case)
    want = gradient(x)
    if got.shape == () or got.size == 1:
        incorrect(f"{case}: one number came back, which is the slope in one direction. There are "
                  f"{d} slopes, one for each coordinate.")
    for h in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        forward = np.array([(f(x + h * e) - f(x)) / h for e in np.eye(d)])
        if h > 1e-6 and np.allclose(got, forward, rtol=1e-9, atol=1e-9):
            incorrect(f"{case}: the gap between f(x + h) and f(x) is measured on one side only. "
                      f"With h = {h:g} its error is {np.abs(forward - want).max():.1e}; with both "
                      "sides it is far smaller.")
        drifted = _drifting(f, x, h)
        if np.allclose(got, drifted, rtol=1e-9, atol=1e-9) and not np.allclose(got, want, 1e-6):
            incorrect(f"{case}: one coordinate is moved and not moved back before the next.")
    if got.shape == want.shape and 2e-6 < np.abs(got - want).max() / np.abs(want).max() < 0.05:
        incorrect(f"{case}: the slopes are nearly right, and a good h gives nine digits. It is too "
                  "large here (the curve bends) or too small (rounding); 1e-5 is fine.")
    expect_close(got, want, case=case, rtol=2e-6, mistakes={
        "the two points are twice as far apart as what their difference is divided by": 2 * want,
        "the sign is flipped: f(x + h) comes first": -want,
        "all coordinates are moved together": np.full(d, want.sum())},
        usually="print for one coordinate the two points, what f says there, and what you divide "
                "by: which of them is not what you mean?")


def _drifting(f, x, h):
    """What comes of moving each coordinate to x_j - h and leaving it there."""
    x, g = x.copy(), np.zeros(x.size)
    for j in range(x.size):
        x[j] += h
        up = f(x)
        x[j] -= 2 * h
        g[j] = (up - f(x)) / (2 * h)
    return g


@exercise("03.4", "Repair: a regression with four mistakes", kind="debug", difficulty=2,
          minutes=12, points=3, names=["fit_linear"],
          hints=["Write down the shape and the meaning of every name in the loop. Which one "
                 "belongs to examples, and which to parameters?",
                 "error = Z w − y, gradient = Zᵀ error / n, w ← w − lr · gradient, where Z is X "
                 "with a column of ones in front.",
                 "1. add the ones; 2. error in space of examples; 3. Z.T carries it to the "
                 "parameters; 4. mean, not sum; 5. against the gradient"],
          followups=[
              ("Which of the four mistakes raises an error, and which stay silent?",
               "Only the shape can raise, and only when the number of examples differs from the "
               "number of parameters. Sign, sum and intercept give numbers, wrong ones."),
              ("How would you have found the silent ones?",
               "A gradient check finds sign and sum. The intercept shows on data with a known "
               "answer, or against least squares."),
              ("Columns of around 700 and lr = 0.01: what happens, and what is the cure?",
               "The longest stable step is about 2/‖x‖², a few millionths, so it explodes. "
               "Standardise the columns with mean and spread of the training data.")],
          rows=["R055", "R103", "R104", "E16", "E79", "E80", "E93", "E94", "E97"])
def fit_linear(answer, rng):
    n, d, steps = int(rng.integers(20, 40)), int(rng.integers(2, 5)), 4000
    X, w, b = rng.normal(size=(n, d)), rng.normal(size=d), rng.uniform(2, 4)
    y = X @ w + b
    Z = np.column_stack([np.ones(n), X])
    lr = 0.5 / np.linalg.eigvalsh(Z.T @ Z / n)[-1]
    case = f"{n} points without noise, {steps} steps"
    got = answer.call("fit_linear", X, y, lr, steps)
    got = _finite_weights(got, case)
    without = np.linalg.lstsq(X, y, rcond=None)[0]
    if got.size == d:
        incorrect(f"{case}: {d} weights came back, and no intercept. Give X a column of ones.")
    want = np.r_[b, w]
    if got.size == d + 1 and np.allclose(got, np.r_[w, b], atol=1e-3):
        incorrect(f"{case}: the weights are right, but the intercept stands last. It comes first.")
    expect_close(got, want, case=case, rtol=1e-4, mistakes={
        "the intercept never moves": np.r_[0.0, without]},
        usually="the step is not minus lr times the gradient of the halved mean square")
    for steps in (1, int(rng.integers(2, 9))):
        def after(rate, steps=steps):
            few = np.zeros(d + 1)
            for _ in range(steps):
                few = few - rate * Z.T @ (Z @ few - y) / n
            return few

        case = f"{steps} step{'s' * (steps > 1)} from zero"
        few = as_array(answer.call("fit_linear", X, y, lr, steps), case=case, shape=(d + 1,))
        expect_close(few, after(lr), case=case, mistakes={
            "each step is twice as long as lr times the gradient of the *halved* mean square":
                after(2 * lr)},
            usually="the weights do not start at zero, the gradient is not the mean over examples, "
                    "or the number of steps is not the one asked for")


def _finite_weights(got, case):
    value = np.asarray(got)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        incorrect(f"{case}: the weights run off to infinity. Take the first step by hand: is its "
                  "sign, and is its size, that of minus lr times the gradient of the halved mean "
                  "square?")
    return as_array(got, case=case)


choice(
    "03.5", "Predict: the sum or the mean", kind="predict", difficulty=1, minutes=4, points=1,
    right="c",
    options={
        "a": "The minimum is in the same place, but the gradient is 100 times as long, and so is "
             "each step.",
        "b": "It would be, if longer steps stayed stable. The limit is 2/L, and L has grown a "
             "hundredfold as well.",
        "c": "Every curvature is 100 times as large, so the longest stable step falls from about "
             "1.5 to about 0.015. The step of 0.1 is far beyond it.",
        "d": "The loss is larger, and so is its gradient: the steps are longer, not shorter.",
    },
    hints=["What happens to the gradient if the loss is multiplied by 100? And to the curvature?",
           "The limit is 2/L. With the mean, L is about 1.3. With the sum it is n times that.",
           "2/L is about 1.5 for the mean and 0.015 for the sum. Where does 0.1 lie?"],
    followups=[
        ("Which learning rate gives the same path for the sum as 0.1 gives for the mean?",
         "0.001: a hundredth. Then every step is the same."),
        ("You double the batch size of a program that sums over the batch. What should you watch?",
         "The gradient doubles, so the effective learning rate does too.")],
    rows=["R017", "R033", "E100"],
)


@exercise("03.6", "Early stopping with patience", kind="implement", difficulty=2, minutes=12,
          points=3, in_place=True, names=["train_with_patience"],
          hints=["Three things must be remembered from step to step: which?",
                 "Remember the best point, its loss, and how many steps ago that was. A new best "
                 "sets the count to zero.",
                 "best, best_loss, since = x, loss(x), 0; loop: x = step(x); if loss(x) < "
                 "best_loss: remember, since = 0; else since += 1; if since == patience: stop"],
          followups=[
              ("Why return the best point and not the last one?",
               "The last one is `patience` steps past the best: those were the steps without "
               "improvement."),
              ("Training is noisy. What does that do to a patience of 1?",
               "The first unlucky step ends it. With noise, look less often, or be more patient."),
              ("May you report the validation loss of the point that you return?",
               "Not as the model's quality: the point was chosen because that number is low. "
               "Report a loss on data that chose nothing, the test part."),
              ("Why can a small learning rate fool it?",
               "Patience counts steps. Short steps may bring no new best for a while, for example "
               "in an accuracy, which moves in jumps.")],
          rows=["R031", "R032"])
def train_with_patience(answer, rng):
    target, direction = rng.normal(size=(2, int(rng.integers(2, 6))))
    scale, shift = rng.uniform(0.5, 2), rng.uniform(-20, 0)  # a loss may be negative

    def follow(curve, patience, max_steps):
        """The best point and the number of steps, when the points met have the losses `curve`."""
        steps = []

        def step(x):
            steps.append(1)
            return np.asarray(x) + direction

        def loss(x):
            if np.shape(x) != target.shape:
                raise ValueError(f"a point has shape {target.shape}, not {np.shape(x)}")
            t = round(float((np.asarray(x) - target) @ direction / (direction @ direction)))
            return float(scale * curve[min(t, len(curve) - 1)] + shift)

        x = answer.call("train_with_patience", step, loss, target, patience, max_steps)
        case = f"losses {curve}, patience {patience}, at most {max_steps} steps"
        x = as_array(x, case=case, shape=target.shape)
        point = round(float((x - target) @ direction / (direction @ direction)))
        expect_close(x, target + point * direction, case=case,
                     usually="this is none of the points that were met")
        return case, point, len(steps)

    falling = list(range(20, 0, -1))
    cases = [  # losses, patience, max_steps
        ([3, 4, 5, 3.5, 1, 1], 2, 50),
        ([9, 8, 7, 7.5, 7.2, 7.1, 6, 5, 4, 3], 2, 50),
        ([9, 8, 8.5, 8.4, 7, 7.5, 6, 7, 7, 7, 5], 3, 50),
        ([5, 4, 4, 4, 3, 3.5, 3.5, 3.5], 2, 50),
        (falling, 3, 6), (falling, 9, 3)]
    cases = [cases[n] for n in rng.permutation(len(cases))]
    met = [follow(*case) for case in cases]
    fits = [mistake for mistake, outcome in STOPPED.items()
            if all(outcome(*case) == came for case, (_, *came) in zip(cases, met, strict=True))]
    mistake = f"It looks as if {fits[0]}." if len(fits) == 1 else (
        "Usual cause: the best point, its loss or the count is not brought up to date after each "
        "step.")
    for case, (said, *came) in zip(cases, met, strict=True):
        wanted = _stopped(*case)
        expect(came == wanted, f"{said}: point {came[0]} came back after {came[1]} steps, expected "
               f"point {wanted[0]} after {wanted[1]}. The start is point 0. {mistake}")


def _stopped(curve, patience, max_steps, start=True, anew=True, ties=False):
    """The best point and the number of steps of early stopping, or of a usual mistake in it."""
    best, least, since, t = 0, curve[0] if start else np.inf, 0, 0
    while t < max_steps and since < patience:
        t += 1
        loss = curve[min(t, len(curve) - 1)]
        progress = loss <= least if ties else loss < least
        best, least = (t, loss) if progress else (best, least)
        since = since * (not (progress and anew)) + (not progress)
    return [best, t]


# What comes of the usual mistakes, of (losses, patience, max_steps).
STOPPED = {
    "the start is not counted as the first best": lambda *case: _stopped(*case, start=False),
    "steps without progress are counted in all; a new best starts the count anew":
        lambda *case: _stopped(*case, anew=False),
    "an equal loss is taken for progress": lambda *case: _stopped(*case, ties=True),
    "it stops one step later than patience says": lambda c, p, most: _stopped(c, p + 1, most),
    "it stops one step sooner than patience says": lambda c, p, most: _stopped(c, p - 1, most),
    "`patience` stops nothing: all steps were taken": lambda c, p, most: _stopped(c, 1000, most),
    "it takes one step more than max_steps": lambda c, p, most: _stopped(c, p, most + 1),
    "it takes one step less than max_steps": lambda c, p, most: _stopped(c, p, most - 1),
    "`max_steps` is not kept": lambda c, p, most: _stopped(c, p, 1000),
    "`patience` is taken for the number of steps": lambda c, p, most: [p, p],
    "the point where it stopped came back, and not the best one":
        lambda *case: 2 * _stopped(*case)[1:],
    "what is kept as the best moves on with x, so that no loss is ever below its own: a copy has "
    "to be kept": lambda c, p, most: 2 * [min(p, most)]}


@exercise("03.7", "Newton's step", kind="derive", difficulty=2, minutes=10, points=2,
          names=["newton_step"],
          hints=["A quadratic equals its own second-order expansion. Where is that one lowest?",
                 "f(x + d) = f(x) + g·d + ½ d·H d. Set its derivative in d to zero: H d = −g.",
                 "return x - np.linalg.solve(H, g)"],
          followups=[
              ("Why is one step enough on a quadratic?",
               "The expansion is then the function itself, so its lowest point is the function's."),
              ("Does Newton's method need a learning rate? Does κ matter to it?",
               "Neither, on a quadratic: dividing by H makes every direction equally steep."),
              ("What does it find where the Hessian has a negative eigenvalue?",
               "A saddle or a maximum just as well: it looks for the place where the gradient is "
               "zero."),
              ("Why is it not used for language models?",
               "H has d² entries and solving costs about d³. For a million parameters that is 8 TB "
               "and a billion billion operations a step.")],
          rows=["R020"])
def newton_step(answer, rng):
    for d in (2, 5):
        Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
        H = (Q * rng.uniform(0.5, 20, size=d)) @ Q.T
        minimum, x = rng.normal(size=(2, d))
        g = H @ (x - minimum)
        case = f"a quadratic in {d} dimensions, not aligned with the axes"
        got = as_array(answer.call("newton_step", x, g, H), case=case)
        expect_close(got, minimum, case=case, mistakes={
            "it goes the wrong way: solve H d = −g": x + (x - minimum),
            "the gradient is multiplied by H; it must be divided": x - H @ g,
            "only the diagonal of H is used": x - g / np.diag(H),
            "this is the step, not the point that it leads to": minimum - x,
            "this is gradient descent: H is not used": x - g},
            usually="the d that solves H d = −g is not found, or not added to x")


@exercise("03.8", "Batches that leave nobody out", kind="implement", difficulty=2, minutes=10,
          points=2, names=["batches"],
          hints=["Think of a pack of cards: shuffle once, then deal until it is empty.",
                 "A permutation of 0 … n − 1, cut into pieces of batch_size. The last may be "
                 "shorter.",
                 "order = rng.permutation(n); return [order[i:i + batch_size] for i in range(0, n, "
                 "batch_size)]"],
          followups=[
              ("Why not draw each batch independently?",
               "With replacement, a pass of n draws leaves out about 37 % of the examples, and "
               "others come twice. It works, but learns less from a pass."),
              ("Why shuffle at all?",
               "Data often come sorted, by label or by date. A batch of one class pulls the model "
               "towards that class, and the next one back."),
              ("The last batch is smaller. What is different about its gradient?",
               "It is a mean over fewer examples: noisier, and each of them weighs more.")],
          rows=["R022"])
def batches(answer, rng):
    size, full = int(rng.integers(6, 11)), int(rng.integers(5, 9))
    cases = [full * size, full * size + 1, full * size + int(rng.integers(2, size)), size - 2]
    for n in rng.permutation(cases):
        _deal(answer, int(n), size, rng)


def _deal(answer, n, size, rng):
    case = f"n = {n}, batch_size = {size}"

    def deal(seed):
        got = answer.call("batches", n, size, np.random.default_rng(seed))
        expect(isinstance(got, list | tuple) and len(got) > 0,
               f"{case}: return a list of batches, each an array of indices.")
        return [as_array(b, case=case).ravel().astype(float) for b in got]

    dealt = deal(int(rng.integers(2**31)))
    sizes = [len(b) for b in dealt]
    if max(sizes) > size:
        incorrect(f"{case}: a batch has {max(sizes)} examples, more than batch_size.")
    if min(sizes) == 0:
        incorrect(f"{case}: there is an empty batch. Its gradient would be the mean of nothing.")
    flat = np.concatenate(dealt)
    if flat.min() < 0 or flat.max() >= n:
        incorrect(f"{case}: index {int(flat.max())} does not exist: they run from 0 to {n - 1}.")
    missing = n - len(np.unique(flat))
    if missing and len(flat) == n - n % size and missing == n % size:
        incorrect(f"{case}: the last {missing} examples are dropped because they do not fill a "
                  "batch. Let the last batch be shorter.")
    if missing:
        twice = len(flat) - len(np.unique(flat))
        incorrect(f"{case}: {missing} examples are in no batch, and {twice} come again. Shuffle "
                  "once, without replacement, and cut all of it.")
    expect(len(flat) == n, f"{case}: {len(flat) - n} examples come twice.")
    expect(np.array_equal(np.sort(flat), np.arange(n)), f"{case}: an index is a whole number.")
    expect(sorted(sizes)[1:] == [size] * (len(sizes) - 1),
           f"{case}: the batches have sizes {sizes}; all but one should have {size}.")
    if n <= size:
        return
    if np.array_equal(flat, np.arange(n)) or (np.abs(np.diff(flat)) == 1).mean() > 0.5:
        incorrect(f"{case}: neighbours stay together: the examples inside a batch must be "
                  "shuffled, not only the order of the batches.")
    if len(np.unique(np.diff(flat) % n)) < n / 4:
        incorrect(f"{case}: the indices go on in equal steps: each order must be as likely as any "
                  "other.")
    deals = [deal(seed) for seed in rng.integers(2**31, size=20)]
    orders = np.array([np.concatenate(batches) for batches in deals])
    if (orders == orders[0]).all():
        incorrect(f"{case}: the order is the same for every `rng`. Use the one that is passed in.")
    still = np.flatnonzero((orders == orders[0]).all(axis=0))
    expect(still.size == 0, f"{case}: in 20 passes with different `rng`, index "
           f"{int(orders[0, still[:1]].sum())} came at the same place: shuffle all of them.")
    someone = int(rng.integers(n))
    met = set().union(*(b.tolist() for batches in deals for b in batches if someone in b))
    expect(len(met) > 1.5 * size, f"{case}: in 20 passes index {someone} only ever shares a batch "
           f"with the same {len(met) - 1} others: who is in a batch must be drawn anew, too.")
