"""Chapter 09: The recipe."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    as_number,
    choice,
    exercise,
    expect_close,
    expect_form,
    expect_parts,
    incorrect,
)


@exercise("09.1", "How high does the noise hold the loss?", kind="derive", difficulty=2, minutes=15,
          points=3, names=["excess_loss"], rows=["R017"],
          hints=["Write the variance of x after a step as a function of the variance before it. "
                 "Where does it stop changing?",
                 "V = (1 − αh)² V + α² s/B, and the mean loss is h V / 2.",
                 "1 − (1 − αh)² is αh (2 − αh): divide by it"],
          followups=[
              ("What does the formula say when α is small?",
               "αh is nothing beside 2, and the excess is α s / (4B): it grows as α/B and does not "
               "depend on the curvature."),
              ("And when αh comes near to 2?",
               "The excess goes to infinity: at 2 plain descent stops being stable, and noise "
               "makes the loss blow up before that.")])
def excess_loss(answer, rng):
    for product in rng.permutation([0.002, rng.uniform(0.3, 0.7), rng.uniform(1.2, 1.6), 1.9]):
        h, s, B = rng.uniform(0.5, 40), rng.uniform(1, 5), int(rng.integers(1, 60))
        lr = product / h
        case = f"lr = {lr:.3g}, h = {h:.3g}, s = {s:.3g}, B = {B}"
        got = as_number(answer.call("excess_loss", lr, h, s, B), case=case)
        V = lr * s / B / (h * (2 - lr * h))
        expect_close(got, h * V / 2, case=case, atol=0, mistakes={
            "this is the variance of x; the loss is h/2 times that": V,
            "the batch does not lower the noise": h * V * B / 2,
            "this is what a single step adds": h * lr**2 * s / B / 2,
            "the noise falls with the root of the batch; its variance falls with the batch":
                h * V * np.sqrt(B) / 2,
            "this is the limit for small rates; at this rate it is off": lr * s / B / 4},
            usually="write down the variance of x after one step and set it equal to the one "
                    "before. What is computed step by step has to go on until nothing changes")


@exercise("09.2", "The noise scale from two batch sizes", kind="implement", difficulty=2,
          minutes=12, points=3, names=["noise_scale"], rows=["R022"],
          hints=["The gradient of a batch is G plus noise whose squared length is tr Σ / batch, on "
                 "average. What is the mean of its squared length, then?",
                 "small = |G|² + tr Σ / b and big = |G|² + tr Σ / B: two equations, two unknowns.",
                 "trace = (small − big) / (1/b − 1/B)\nG2 = (B·big − b·small) / (B − b)"],
          followups=[
              ("Why not divide the variance by the squared length of a batch's gradient?",
               "That length has the noise in it: for small batches it is nearly all noise, and the "
               "scale that comes out is near the batch itself."),
              ("What is the number good for?",
               "As a guess at the batch up to which doubling it nearly halves the steps. It "
               "belongs to one place on the way, and grows as the loss falls.")])
def noise_scale(answer, rng):
    for scale, left in zip(rng.permutation([1e-8, 1e-4, 1, 1e3]), (0, 1, 1, 0), strict=True):
        b = int(rng.integers(2, 9))
        B = b * int(rng.integers(2, 9)) + left
        G2, trace = scale * rng.uniform(0.1, 2), scale * rng.uniform(5, 50)
        small, big = G2 + trace / b, G2 + trace / B
        case = f"batches of {b} and {B}, mean squared lengths {small:.3g} and {big:.3g}"
        got = as_number(answer.call("noise_scale", small, big, b, B), case=case)
        expect_close(got, trace / G2, case=case, rtol=1e-5, mistakes={
            "the squared length of the big batch's gradient still has noise in it": trace / big,
            "the squared length of the small batch's gradient is mostly noise": trace / small,
            "it is upside down": G2 / trace,
            "this is tr Σ: divide it by the squared length of the gradient without noise": trace,
            "a small number is added to the divisor": trace / (G2 + 1e-8)},
            usually="put |G|² + tr Σ / batch for both means and solve for the two unknowns")


@exercise("09.3", "Repair: a warm-up and a cosine", kind="debug", difficulty=2, minutes=12,
          points=3, names=["rate"],
          hints=["Print the rates of a run of ten steps with a warm-up of four. Which are zero? "
                 "Where is the jump?",
                 "Step t of the warm-up: lr t / warmup. After it, the share that is done is (t − "
                 "warmup) / (steps − warmup), and the factor (1 + cos(π · share)) / 2.",
                 "if t <= warmup:\n    return lr * ...\nshare = ...\nreturn lr * ..."],
          followups=[
              ("Why not begin at a rate of zero?",
               "The first step would do nothing and cost as much as any other."),
              ("The run is to be made longer after it has ended. What is the trouble with a "
               "cosine?",
               "The rate has been brought down for that end. One would have to raise it again, or "
               "to begin anew; a plateau with a decay at its end can be left at any time.")])
def rate(answer, rng):
    for kind in ("some", "none", "one", "all"):
        steps = int(rng.integers(7, 14))
        warmup = {"some": int(rng.integers(3, steps - 2)), "none": 0, "one": 1, "all": steps}[kind]
        lr = float(np.round(rng.uniform(0.1, 2), 2))
        case = f"{steps} steps, a warm-up of {warmup}, lr = {lr}"
        got = np.empty(steps)
        for t in rng.permutation(steps).tolist():
            got[t] = as_number(answer.call("rate", t + 1, steps, warmup, lr),
                               case=f"{case}, step {t + 1}")

        def rates(early=0, late=0, own=True, span=2, lr=lr, steps=steps, warmup=warmup):
            t = np.arange(1, steps + 1)
            rising = (t - early) / max(warmup, 1)
            begins = warmup if own else 0
            share = (t - late - begins) / max(steps - begins, 1)
            falling = (1 + np.cos(2 * np.pi * share / span)) / 2
            return lr * np.where(t <= warmup, rising, falling)

        expect_close(got, rates(), case=case, atol=1e-9, mistakes={
            "the first step of the warm-up has a rate of zero": rates(early=1),
            "the share is the one before the step, so that the last rate is not zero":
                rates(late=1),
            "the cosine counts from the start of the run, so that the rate jumps where the warm-up "
            "ends": rates(own=False),
            "the cosine takes only a quarter of its turn, and ends at half the rate":
                rates(span=4)},
            usually="print the rates of the first, the last and the two steps around the end of "
                    "the warm-up")


@exercise("09.4", "One length for all arrays", kind="implement", difficulty=1, minutes=8, points=2,
          names=["clipped"],
          hints=["Which vector has a length here: each array, or all of them laid end to end?",
                 "length = √(Σ over arrays Σ g²); if it is above the limit, all arrays are "
                 "multiplied by limit / length.",
                 "length = np.sqrt(sum(...))\nfactor = ...\nreturn [factor * g for g in "
                 "gradients], length"],
          followups=[
              ("Why one length for all, and not one for each array?",
               "One factor keeps the direction of the step. A factor for each array turns it."),
              ("What can be learnt from the lengths?",
               "How often clipping acts. If it acts in every step, the limit sets the length of "
               "the step, and is a second learning rate.")])
def clipped(answer, rng):
    # Limits above and below 1, lengths far from the limit and near it, and all of it tiny
    limits = rng.uniform(0.2, 0.5), rng.uniform(2, 5)
    for i, (times, limit) in enumerate([
            (30, limits[0]), (1.05, limits[0]), (0.9, limits[0]), (1.05, limits[1]),
            (0.9, limits[1]), (0.01, limits[1]), (8, 1e-5 * limits[1])]):
        d = rng.integers(2, 7)
        shapes = [(3, d), (d,), (2, 2, 2), ()][:2 + i % 3]
        gradients = [np.asarray(rng.normal(size=shape)) for shape in shapes]
        gradients = [g / np.linalg.norm(g) * rng.uniform(0.5, 1) for g in gradients]
        length = times * limit
        whole = np.linalg.norm([np.linalg.norm(g) for g in gradients])
        gradients = [np.asarray(length / whole * g) for g in gradients]
        case = f"a gradient of length {length:.3g}, limit {limit:.3g}"
        _compare(answer, gradients, limit, length, min(1.0, limit / length), case)
    gradients = [np.zeros(shape) for shape in shapes]
    _compare(answer, gradients, 1.0, 0.0, 1.0, "a gradient of zeros")


def _compare(answer, gradients, limit, length, factor, case):
    new, told = expect_parts(answer.call("clipped", gradients, limit), 2, case=case,
                             what="the clipped arrays and the length before")
    expect_form(hasattr(new, "__len__") and len(new) == len(gradients),
                f"{case}: return as many arrays as you were given.")
    lengths = [np.linalg.norm(g) for g in gradients]
    each = [min(1.0, limit / n) if n else 1.0 for n in lengths]
    for i, (got, g) in enumerate(zip(new, gradients, strict=True)):
        expect_close(as_array(got, case=case, shape=g.shape), factor * g, case=f"{case}, array {i}",
                     atol=0, mistakes={
                         "nothing is clipped": g,
                         "each array is clipped by its own length": each[i] * g,
                         "every entry is clipped by itself": np.clip(g, -limit, limit),
                         "a gradient that is short enough is made longer":
                             limit / (length or 1.0) * g,
                         "the squared length is used": min(1.0, limit / (length or 1.0)**2) * g,
                         "a small number is added to the length": limit / (length + 1e-6) * g}
                     if factor < 1 or length else {},
                     usually="add up the squares of all entries of all arrays first")
    expect_close(told, length, case=f"{case}: the length before", atol=0, mistakes={
        "this is the length after clipping": min(limit, length),
        "this is the squared length": length**2,
        "the lengths of the arrays are added, and not their squares": sum(lengths)},
        usually="return the length that the whole gradient had before it was clipped")


@exercise("09.5", "Predict: momentum in the noise ball", kind="predict", difficulty=2, minutes=6,
          points=2, names=["answer_09_5"], rows=["R022"],
          hints=["A gradient that comes once: how far does it move x in all, with momentum and "
                 "without?",
                 "β = 0.9 repeats it 0.9, 0.81, ... times: in sum 1 / (1 − β) as far. So momentum "
                 "is slow descent at a larger rate.",
                 "The excess goes with rate / batch, with that larger rate: three factors such as "
                 "[3, 0.5, 2]"],
          followups=[
              ("Does momentum average the noise away, then?",
               "Its velocity is an average, but the point adds the velocities up: nothing is lost "
               "of any gradient's noise, it only comes later."),
              ("Why do people say that momentum makes training smoother?",
               "Neighbouring steps point the same way. The level at which the loss stays is "
               "another thing: plain descent at a rate of lr / (1 − β) has the same.")])
def momentum_in_the_ball(answer, rng):
    got = answer.value("answer_09_5")
    got = as_array(expect_parts(got, 3, case="the three factors", what="such as [3, 0.5, 2]"),
                   case="the three factors", shape=(3,), nan="Each is a number.")
    for mistake, value in {
            "these are shares turned round; give how many times larger the excess gets":
                [1 / 10, 1, 1 / 2.5],
            "momentum does not average the noise away: the point adds all velocities up":
                [1 / 10, 1 / 100, 1 / 40],
            "momentum changes how far a gradient carries in all, and so the excess":
                [1, 1 / 10, 1 / 4],
            "the excess is linear in the rate that momentum makes, not quadratic": [100, 1, 25],
            "four times the batch has a fourth of the variance, not a half": [10, 1, 5]}.items():
        if np.allclose(got, value, rtol=0.01):
            incorrect(f"The three factors: {mistake}.")
    for i, factor in enumerate((10, 1, 2.5)):
        expect_close(got[i], factor, case=f"factor {i + 1}", rtol=0.03,
                     usually="ask how far one gradient moves the point in all, with momentum, and "
                             "put that in the place of the rate in rate / batch")
    return "For the noise ball, momentum is a rate of lr / (1 − β), as long as that is small."


@exercise("09.6", "A memory in symbols", kind="derive", difficulty=2, minutes=10, points=3,
          names=["beta_for"],
          hints=["What weight does a symbol have that was read 32 sequences ago: with batches of "
                 "8, and with batches of 2?",
                 "β^(n / batch) is the weight of what was read n sequences ago. It has to be the "
                 "same for both batches.",
                 "β′^(1 / new) = β^(1 / old)"],
          followups=[
              ("What is β₂ = 0.999 with 1,024 sequences, when it is moved to 8?",
               "0.999^(1/128) = 0.9999922: as many symbols, but 128 times as many steps."),
              ("Why should the memory count symbols?",
               "The mean of g² is an estimate. What makes it good or stale is how much text it "
               "has seen and how far the weights have moved, not in how many pieces the text came "
               "(Marek et al. 2025).")])
def beta_for(answer, rng):
    some, few = rng.integers(2, 20), rng.integers(3, 9)
    pairs = [(some, some * rng.integers(2, 9)), (few * rng.integers(2, 9), few),
             (few, 2 * few + 1), (2 * few + 1, few)]  # multiples, and not
    for old, new in [*rng.permutation(pairs).tolist(), (12, 12)]:
        beta = round(rng.uniform(0.9, 0.99) if new > old else rng.uniform(0.9995, 0.9999), 5)
        case = f"beta = {beta}, from batches of {old} to {new}"
        got = as_number(answer.call("beta_for", beta, old, new), case=case)
        expect_close(got, beta ** (new / old), case=case, rtol=5e-7, mistakes={} if
                     old == new else {
            "the two batches are exchanged": beta ** (old / new),
            "the number of steps in 1 / (1 − β) is scaled; that is near it only while β is near 1":
                1 - (1 - beta) * new / old,
            "the memory is as long in steps": beta,
            "the quotient of the batches is rounded to a whole number":
                beta ** (new // old) if new > old else beta ** (1 / (old // new)),
            "it goes with the root of the batch": beta ** np.sqrt(new / old)},
            usually="a symbol's weight after n more sequences is β^(n / batch): make it the same "
                    "for both")


@exercise("09.7", "An average for every moment", kind="implement", difficulty=3, minutes=15,
          points=4, names=["Average"], rows=["R009"],
          hints=["An exponential average that begins at the first point keeps much of that point. "
                 "What would a plain mean do in the first steps?",
                 "a ← a + w (p − a) with w = max(1/t, 1 − decay): with 1/t this is the mean of "
                 "all points so far.",
                 "self.t += 1\nweight = max(...)\nself.a = ..."],
          followups=[
              ("Why is the average lower in the loss than the points that it is made of?",
               "The points lie around the bottom of the valley, on all sides; their mean lies "
               "nearer to it. In a bowl that is exact: the noise averages out."),
              ("What does it cost?",
               "One more vector of the model's size, and an addition a step. No run has to be "
               "ended for it.")])
def average_class(answer, rng):
    for decay in (0.75, 0.5, 0.9):
        T, d = rng.integers((5, 2), (13, 6))
        points, average = rng.normal(size=(T, d)) + 5, answer.make("Average", decay)
        points[0] *= decay != 0.9  # a first point of zeros is a point, too
        a, naive, zero = None, points[0], np.zeros(d)
        for t, p in enumerate(points, 1):
            weight = max(1 / t, 1 - decay)
            old = np.zeros(d) if a is None else a
            a, naive = old + weight * (p - old), decay * naive + (1 - decay) * p
            zero = decay * zero + (1 - decay) * p
            expect_close(average.call("update", p), a, case=f"decay {decay}, point {t}", rtol=1e-6,
                         mistakes={
                             "it begins at the first point, which keeps too much weight": naive,
                             "it begins at zero, and stays too small for a while": zero,
                             "it begins at zero and is divided by 1 − decay^t, which is right for "
                             "another average: here the first points weigh the same":
                                 zero / (1 - decay**t),
                             "it is still the mean of all points, though 1/t < 1 − decay "
                             "by now": points[:t].mean(axis=0),
                             "this is the newest point": p,
                             "the two weights are exchanged": p + weight * (old - p)},
                         usually="the weight of the newest point is 1/t at first, and never below "
                                 "1 − decay")
    one, other = answer.make("Average", 0.6), answer.make("Average", 0.6)
    p, q = rng.normal(size=(2, 3))
    for average, point, turn in ((one, p, "first"), (other, q, "first"), (one, 3 * p, "second")):
        want = 2 * p if turn == "second" else point
        expect_close(average.call("update", point), want, case=f"the {turn} point of one of two "
                     "averages", usually="what an average remembers belongs to the class, so all "
                     "share it: keep it on `self`")


choice(
    "09.8", "A run that clips in every step", difficulty=3, minutes=6, points=2, right="c",
    options={
        "a": "Half the limit means gradients half as long. But Adam divides by their root mean "
             "square, and half the gradients give half the root: the halves cancel. For plain "
             "descent the answer would be right.",
        "b": "Clipping acted in every step before, too. What changed is a constant factor for all "
             "gradients, and no spike gets through in either case.",
        "c": "Every gradient is scaled to the limit, before and after: halving the limit halves "
             "all of them, and m̂ / √v̂ does not change but for ε. What clipping did all the time "
             "stays: a batch with a long gradient counts no more than one with a short one.",
        "d": "m and v are both made of the clipped gradients. If only m were clipped, the steps "
             "would halve.",
    },
    hints=["Every gradient is longer than the limit. What are their lengths after clipping?",
           "All gradients are now half as long as they would have been. Chapter 10 has a table of "
           "what a method does not notice.",
           "What happens to m̂ and to √v̂ when all gradients are multiplied by 1/2?"],
    followups=[
        ("What would you look at before you choose a limit?",
         "The lengths of some hundred gradients after the warm-up. A limit that is meant against "
         "accidents lies above nearly all of them."),
        ("And with plain gradient descent?",
         "There the step has the length lr · limit whenever clipping acts: limit and rate are one "
         "knob.")],
)
