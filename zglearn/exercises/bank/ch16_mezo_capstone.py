"""Chapter 16: fine-tuning a language model without backpropagation."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_asked,
    expect_close,
    expect_form,
    expect_parts,
    incorrect,
    open_question,
    watched,
)

choice(
    "16.1", "Which of the four would you do without a gradient?", difficulty=1, minutes=4,
    points=1, right="c",
    options={
        "a": "Size is an argument for memory, never for the number of evaluations: a forward-only "
             "method pays more, the more directions matter, and on a new domain it paid most. "
             "Pre-training is the extreme of it.",
        "b": "Vanishing gradients vanish from differences as well: the two probes then give the "
             "same loss. Initialization, normalization and residual layers are the cure.",
        "c": "Weights and gradient do not both fit, the question is put in words that the model "
             "knows, and you can wait: this is what MeZO was made for.",
        "d": "A forward-only method guesses at the very same gradient. What the trained model can "
             "be asked about is the same either way.",
    },
    hints=["What does a forward-only method save, and what does it cost?",
           "It saves the gradient, the averages and the stored activations. It costs evaluations, "
           "in proportion to the directions that matter.",
           "Look for the case where memory is what is short, and few directions matter."],
    followups=[
        ("When is a gradient-free method applicable, in one sentence?",
         "When the gradient is unavailable, undefined or unaffordable in memory, and few "
         "directions matter."),
        ("Name real uses on language models.",
         "Black-box tuning of prompts (2022), MeZO (2023), ES on billions of parameters (2025). "
         "GPT-3 is not one of them: it was trained with Adam.")],
    rows=["R107", "R119", "R121", "R125", "R128", "R051", "E04"],
)


@exercise("16.2", "One step in the memory of inference", kind="implement", difficulty=2,
          minutes=12, points=3, in_place=True, names=["mezo_step"],
          hints=["The same direction is needed four times. What do you have to remember to draw it "
                 "again?",
                 "p + εz, loss; p − εz, loss; slope = (plus − minus) / 2ε; p − lr · slope · z, "
                 "with z from the seed each time.",
                 "draw = lambda: np.random.default_rng(seed).standard_normal(p.size)\n"
                 "p += eps * draw(); plus = loss(p); p -= 2 * eps * draw(); minus = loss(p)\n"
                 "p += eps * draw(); then the step"],
          followups=[
              ("What is the peak of memory beyond p, and how would you lower it?",
               "One vector z while it is drawn. Draw and add it a block at a time, as the package "
               "does: then it is a block, whatever the size of the model."),
              ("Why is p not quite p after + ε z − 2 ε z + ε z?",
               "Each sum is rounded. The dust is about the last bit of p per step; on a grid on "
               "which all sums are exact, there is none.")],
          rows=["R105", "R131", "R073"])
def mezo_step(answer, rng):
    d = int(rng.integers(4, 9))
    for seed in rng.permutation(1000)[:4].tolist():
        h, p, bend = rng.uniform(0.5, 2, size=d), rng.normal(size=d), rng.normal(size=d)
        lr, eps = rng.uniform(0.05, 0.2), 10 ** rng.uniform(-4, -3)
        _mezo_step(answer, lambda x, h=h, bend=bend: float(np.sum(h * x**2 + bend * x**3)), p,
                   seed, lr, eps)


def _mezo_step(answer, f, p, seed, lr, eps):
    """Judge one step from p (d,)."""
    d = p.size
    loss, asked = watched(f)
    case = f"seed {seed}, lr = {lr:.3f}, eps = {eps:.2g}"
    new = as_array(answer.call("mezo_step", p.copy(), loss, seed, lr, eps), case=case, shape=(d,))
    expect(len(asked) == 2, f"{case}: the loss was asked at {len(asked)} points: MeZO asks at two, "
           "p + eps z and p - eps z.")
    expect(not any(np.allclose(point, p, rtol=0, atol=1e-9) for point in asked), f"{case}: the "
           "loss was asked at p itself. MeZO asks at p + eps z and at p - eps z: from the one to "
           "the other it is 2 eps z.")
    expect(np.allclose((asked[0] + asked[1]) / 2, p, atol=1e-9), f"{case}: the two points are not "
           "on opposite sides of p. Usual cause: after the first question, p is moved by eps z "
           "back, and not by 2 eps z, or each question draws a new direction.")
    z = (asked[0] - asked[1]) / (2 * eps)
    wanted = np.random.default_rng(seed).standard_normal(d)
    if wanted @ z < 0:  # the minus side came first
        z = -z
    size = z @ wanted / (wanted @ wanted)
    if not np.allclose(z, wanted, atol=1e-5):
        parallel = np.linalg.norm(z - size * wanted) < 1e-5 * np.linalg.norm(z)
        expect(not parallel, f"{case}: the two points lie at a distance of {size:.4g} eps z from "
               "p; it should be eps z.")
        expect(np.ptp(z) > 1e-6 * np.abs(z).max(), f"{case}: both points lie on the diagonal: z is "
               "one number. Each coordinate has its own.")
        before = asked[0] - asked[1]
        asked.clear()
        answer.call("mezo_step", p.copy(), loss, seed, lr, eps)
        expect(len(asked) == 2 and np.allclose(asked[0] - asked[1], before, rtol=0, atol=1e-9),
               f"{case}: asked twice with the same seed, it took two directions: z does not follow "
               "from the seed, so that no replay is possible.")
        incorrect(f"{case}: the two points lie in another direction than the standard normal z "
                  "that the task draws from this seed. Is the generator made from the seed that is "
                  "given, anew for each use of z, and is it the generator's normal distribution?")
    moved = new - p
    slope = (f(p + eps * z) - f(p - eps * z)) / (2 * eps)
    expect(np.ptp(moved) > 1e-9 * np.abs(moved).max() or not moved.any(), f"{case}: p moves by the "
           "same number in every coordinate: the slope is to be multiplied by z.")
    along = float(moved @ z) / float(z @ z)
    if np.linalg.norm(moved - along * z) > 1e-6 * np.linalg.norm(z) + 1e-9:
        incorrect(f"{case}: the step does not lie along the direction that was probed. Usual "
                  "cause: z was drawn anew for the step, from a generator that had moved on. Seed "
                  "it again.")
    expect_close(along, -lr * slope, case=f"{case}: the length of the step along z", rtol=1e-4,
                 mistakes={
                     "it goes uphill: subtract": lr * slope,
                     "the difference was divided by eps; the points are 2 eps apart":
                         -2 * lr * slope,
                     "the difference was not divided by 2 eps": -2 * lr * slope * eps,
                     "lr is left out": -slope,
                     "p was not put back before the step, so it starts from p - eps z":
                         -lr * slope - eps,
                     "p was not put back before the step, so it starts from p + eps z":
                         -lr * slope + eps,
                     "p was left where it was: the step itself is missing": 0.0},
                 usually="follow p through the function: where is it after the second question, "
                         "and what is subtracted? The slope is a difference by a distance")


@exercise("16.3", "Repair: two questions about two batches", kind="debug", difficulty=2,
          minutes=8, points=2, names=["slope_along"],
          hints=["The slope of what? Write down the two numbers that are subtracted, with all that "
                 "they depend on.",
                 "(loss(p + εz, batch) − loss(p − εz, batch)) / 2ε: one batch, and the distance "
                 "between the points is 2ε.",
                 "batch = draw_batch() once, then both losses with it"],
          followups=[
              ("How large is the error that the second batch brings, compared with the signal?",
               "The losses of two batches differ by a fixed amount; divided by 2ε this grows as ε "
               "shrinks, while the signal stays. With ε = 0.001 it is drowned."),
              ("The same bug in disguise: dropout is on during the two passes. What now?",
               "The two passes must share the mask, which means the seed of the dropout, or run "
               "without it.")],
          rows=["R105", "R145"])
def slope_along(answer, rng):
    d, drawn = int(rng.integers(4, 9)), []
    for sign in rng.permutation([-1, 1, 1, -1]):
        (p, z, bend, batch), eps = rng.normal(size=(4, d)), 10 ** rng.uniform(-3, -2)

        def loss(p, batch, bend=bend):  # not the same with the two exchanged
            gap = np.asarray(p, dtype=float) - np.asarray(batch)
            return float(np.sum(0.5 * gap**2 + bend * gap**3 / 3))

        def slope(p, z, batch, eps, loss=loss):
            return (loss(p + eps * z, batch) - loss(p - eps * z, batch)) / (2 * eps)

        while abs(slope(p, z, batch, eps)) < 0.5:
            z = rng.normal(size=d)
        z *= sign * np.sign(slope(p, z, batch, eps))
        _slope_along(answer, loss, slope, drawn, p, z, batch, eps)


def _slope_along(answer, loss, slope, drawn, p, z, batch, eps):
    """Judge one slope, at p along z (d,), on the batch that is drawn first."""
    asked, case = [], f"eps = {eps:.2g}"

    def draw_batch():
        drawn.append(batch if not drawn else batch + len(drawn))
        return drawn[-1].copy()

    def watching(p, batch):
        asked.append((np.array(p, dtype=float), np.array(batch, dtype=float)))
        return loss(*asked[-1])

    drawn.clear()
    got = answer.call("slope_along", watching, draw_batch, p.copy(), z.copy(), eps)
    expect(len(drawn) > 0, f"{case}: no batch was drawn: ask draw_batch().")
    if len(drawn) > 1:
        incorrect(f"{len(drawn)} batches were drawn. The two losses must be about the same batch, "
                  "or their difference is mostly the difference of the batches.")
    expect(len(asked) == 2, f"{case}: the loss was asked {len(asked)} times. Two losses tell the "
           "slope along z, however many numbers p has.")
    expect(all(np.array_equal(b, batch) for _, b in asked), f"{case}: a loss was asked about "
           "another batch than the one that was drawn")
    expect(not any(np.allclose(point, p, rtol=0, atol=1e-9) for point, _ in asked), f"{case}: the "
           "loss was asked at p itself. The two points lie on opposite sides of p.")
    expect_asked([point for point, _ in asked], [p + eps * z, p - eps * z], case=case)
    want = slope(p, z, batch, eps)
    expect_close(got, want, case=f"the slope along z on one batch, eps = {eps:.2g}", mistakes={
        "the two points are 2 eps apart, and it was divided by eps": 2 * want,
        "the difference was not divided": 2 * eps * want,
        "it is a size without a sign: along z the loss falls here": abs(want),
        "minus and plus are exchanged": -want},
        usually="it is the difference of the two losses, by the distance in units of z")


@exercise("16.4", "A checkpoint made of seeds", kind="implement", difficulty=2, minutes=10,
          points=3, in_place=True, names=["replay"],
          hints=["What does one step do to p, given its seed and its number? Is the loss needed?",
                 "p ← p − step · z(seed), in the order of the log.",
                 "copy p0; for seed, step in log: p = p - step * draw(seed, p.size); return p"],
          followups=[
              ("What must be the same on both machines for a replay to the last bit?",
               "The start, the generator and its version, the precision, and the order of "
               "operations. The data are not needed."),
              ("How can this train one model on many machines?",
               "Each machine sends its seed and its number; all apply all steps. The model itself "
               "never travels."),
              ("When is the log larger than the model?",
               "After d / 2 steps, at 8 bytes a step and 4 bytes a parameter.")],
          rows=["R106", "R120", "R148"])
def replay(answer, rng):
    for n in rng.permutation([0, 1, int(rng.integers(8, 12)), int(rng.integers(4, 8))]).tolist():
        d = int(rng.integers(5, 10))
        p0, seeds = rng.normal(size=d), rng.integers(2**32, size=n).tolist()
        if n > 1:
            seeds[-1] = seeds[1]  # the same direction again is a step as well
        _replay(answer, p0, list(zip(seeds, rng.normal(size=n).tolist(), strict=True)))


def _replay(answer, p0, log):
    """Judge the end of one run."""
    def z(seed):
        return np.random.default_rng(seed).standard_normal(p0.size)

    got, case = answer.call("replay", p0.copy(), list(log)), f"a log of {len(log)} steps"
    if not log:
        expect_close(got, p0, case="an empty log",
                     usually="with no step taken, the start comes back")
        return
    end = p0 - sum(step * z(seed) for seed, step in log)
    one = np.random.default_rng(log[0][0])
    drifting = p0 - sum(step * one.standard_normal(p0.size) for _, step in log)
    expect_close(got, end, case=case, mistakes={
        "the steps were added; the log holds what is subtracted": 2 * p0 - end,
        "only the last step was taken: each one starts where the one before ended":
            p0 - log[-1][1] * z(log[-1][0]),
        "one generator serves all steps; each step has a seed of its own": drifting,
        "a seed that comes twice is used once: each line of the log is a step":
            p0 - sum(step * z(seed) for seed, step in dict(log).items())},
        usually="each pair of the log is a step: it starts where the one before ended, its z comes "
                "from its own seed, and the end of the last one is wanted, not the way there")


@exercise("16.5", "How long a step can MeZO bear?", kind="derive", difficulty=3, minutes=15,
          points=3, names=["mezo_on_a_bowl"],
          hints=["Write x after one step as a matrix times x, then take the mean of its squared "
                 "length.",
                 "On f = λ‖x‖²/2 the slope along z is λ x·z exactly, so ‖x‖² becomes ‖x‖² − 2 α λ "
                 "(x·z)² + α² λ² (x·z)² ‖z‖². For standard normal z the means are E(x·z)² = ‖x‖² "
                 "and E (x·z)²‖z‖² = (d + 2)‖x‖².",
                 "The factor is 1 − 2αλ + α²λ²(d + 2). Minimize over α; put it back in."],
          followups=[
              ("So how many evaluations does a thousandth of the loss take in d dimensions?",
               "About 2 (d + 2) ln 1000, some 14 for each dimension, as the chapter quotes."),
              ("Only k of the d directions are curved. What changes?",
               "d + 2 becomes k + 2 for the quadratic part: the rate follows the effective rank."),
              ("And above which learning rate does it diverge?",
               "Twice the best one, 2 / (λ (d + 2)): there the factor is 1 again.")],
          rows=["R106", "R128", "E04"])
def mezo_on_a_bowl(answer, rng):
    for _ in range(3):
        curvature, d = rng.uniform(0.2, 5), int(rng.integers(5, 500))
        case = f"curvature {curvature:.3g}, d = {d}"
        lr, factor = expect_parts(answer.call("mezo_on_a_bowl", curvature, d), 2, case=case,
                                  what="the best lr and the factor")
        best = 1 / (curvature * (d + 2))
        expect_close(lr, best, case=f"{case}: lr", rtol=1e-4, mistakes={
            "this is gradient descent's best rate; the noise of z forbids it": 1 / curvature,
            "this is where it begins to diverge": 2 * best,
            "the mean of (x·z)²‖z‖² is (d + 2)‖x‖², not d‖x‖²": 1 / (curvature * d),
            "the curvature is missing": 1 / (d + 2)},
            usually="the mean factor is a parabola in α: check its two coefficients by drawing a "
                    "thousand z for some x, then find where it is lowest")
        expect_close(factor, 1 - 1 / (d + 2), case=f"{case}: factor", rtol=1e-6, mistakes={
            "this is the factor of the distance; the loss is its square": np.sqrt(1 - 1 / (d + 2)),
            "at the best rate the two last terms do not cancel": 1 - 2 / (d + 2),
            "this is how much is lost, not what remains": 1 / (d + 2)},
            usually="the rate is right: put it into the mean factor, and simplify")


@exercise("16.6", "A reward that repetition cannot earn", kind="implement", difficulty=1,
          minutes=8, points=2, names=["reward"],
          hints=["What would a model write to get the most out of your reward? Try it.",
                 "The number of different dictionary words in the text, divided by the number of "
                 "words in the text.",
                 "words = text.split(); if there are none, 0.0; "
                 "len(set(words) & set(dictionary)) / len(words)"],
          followups=[
              ("How would a model hack this one?",
               "By writing a single known word and then nothing, or a list of different words. A "
               "penalty on the drift from the start charges for all such ways at once."),
              ("Could Adam maximize it?",
               "Not directly: it is piecewise constant. REINFORCE can, by way of the probability "
               "of the text; ES can, by trying.")],
          rows=["R078", "R141"])
def reward(answer, rng):
    dictionary = rng.permutation(["array", "axis", "plot", "the", "value", "line", "of"])
    dictionary = dictionary[:int(rng.integers(4, 8))].tolist()
    a, b, c = dictionary[:3]
    strange = ["qx", "zzv", "wrt", "ax", "planet"]
    cases = {
        "a text of known and unknown words": [a, b, *strange[:int(rng.integers(1, 6))]],
        "a known word twice and an unknown one": [a, "qx", a],
        "one known word": [b],
        "one known word, many times": [c] * int(rng.integers(2, 9)) + ["qx"],
        "known words, one of them often": [a, b, c, "qx"] + [b] * int(rng.integers(10, 30)),
        "no known word": strange[:int(rng.integers(1, 6))],
        "known words inside of others": [a, f"{b}s", f"x{c}", f"{b}{b}", "qx"],
        "pieces of known words": [a, b[:-1], c[1:], a[:1], "qx"],
        "an empty text": [],
    }
    cases = [(case, " ".join(rng.permutation(words).tolist() if words else []), dictionary)
             for case, words in cases.items()]
    cases += [("blanks only", " " * int(rng.integers(1, 6)), dictionary),
              ("words with more than one blank between", f"  {a}   qx  ", dictionary),
              ("another dictionary", f"{a} {b}", dictionary[1:])]
    cases = [cases[k] for k in rng.permutation(len(cases))]
    got = [answer.call("reward", text, list(known)) for _, text, known in cases]
    want = [_share(text, known) for _, text, known in cases]
    made = {said: values for said, reading in READINGS.items()
            if _agree(got, values := [reading(text, known) for _, text, known in cases])}
    for k, (case, _, _) in enumerate(cases):
        expect_close(got[k], want[k], case=case,
                     mistakes={said: values[k] for said, values in made.items()},
                     usually="count by hand: the different known words, whole ones, and all words "
                     "of the text; a text without words has the reward 0")


def _share(text, known, different=set, of=len):
    words = text.split()
    return len(different(word for word in words if word in known)) / max(of(words), 1)


READINGS = {
    "every repetition counts: count each word once":
        lambda text, known: _share(text, known, different=list),
    "this divides by the number of different words, so repetition is free":
        lambda text, known: _share(text, known, of=lambda words: len(set(words))),
    "this is the share of the dictionary, not of the text":
        lambda text, known: _share(text, known, of=lambda words: len(known)),
    "this is a count; divide by the number of words":
        lambda text, known: _share(text, known, of=lambda words: 1),
    "a part of a word counts: split the text, and compare whole words":
        lambda text, known: sum(d in text for d in known) / max(len(text.split()), 1),
}


def _agree(got, values) -> bool:
    """Whether these are the numbers of a mistake."""
    return all(isinstance(came, int | float) and abs(came - value) < 1e-6
               for came, value in zip(got, values, strict=True))


@exercise("16.7", "Predict: weigh a checkpoint", kind="predict", difficulty=1, minutes=4,
          points=1, names=["answer_16_7"],
          hints=["What is in the log, and what is in the parameters?",
                 "8 bytes for each step; 4 bytes for each parameter.",
                 "4 · 2,134,048 bytes divided by 8 · 400 bytes"],
          followups=[("After how many steps would the log weigh as much as the parameters?",
                      "After d / 2, here a million steps: at 8 bytes a step and 4 a parameter.")],
          rows=["R106", "R132"])
def checkpoint(answer, rng):
    guess = answer.value("answer_16_7")
    expect_form(isinstance(guess, int | float) and not isinstance(guess, bool) and guess > 0,
                "predict a ratio, such as 100")
    ratio = 4 * 2_134_048 / (8 * 400)
    if guess < 1:
        incorrect("this says that the log is the larger one. It grows with the steps, not with "
                  "the parameters.")
    if guess < ratio / 2:
        incorrect("too small. Is more than one number a step kept in your log? The seeds follow "
                  "from the first one.")
    if guess > 2 * ratio:
        incorrect("too large: each of the 400 steps needs its 8 bytes.")
    return f"The parameters weigh {ratio:,.0f} times as much as the log."


open_question(
    "16.8", "Four recommendations", difficulty=3, minutes=15, points=3, min_words=80,
    rubric=[
        "The interface: no gradient, so ES or CMA-ES in a small space (a prompt, a few numbers), "
        "with an eye on the number of calls.",
        "The 24 GB device: says from bytes per parameter what fits (2 for inference and MeZO, 16 "
        "for Adam), and considers LoRA with Adam before MeZO.",
        "Pre-training: a first-order method, because thousands of directions matter; gives the "
        "price in forward passes.",
        "The metric: names REINFORCE as well as ES, and a penalty on drift against reward hacking.",
        "Each recommendation names what would change it, or says how it would be tested: same "
        "budget, several seeds, held out.",
    ],
    hints=["For each, ask: what is scarce, and what may be asked of the model?",
           "Access, memory, compute, the form of the objective: one of them decides in each case.",
           "The decision table of the chapter has a row for each; add a number and a caveat."],
    followups=[
        ("What are the advantages and the drawbacks of forward-only methods, in a minute?",
         "For: memory of inference, black boxes and metrics without slope, workers that exchange "
         "only numbers, tiny checkpoints. Against: evaluations in proportion to the directions "
         "that matter, noise, and a learning rate that shrinks with the dimension."),
        ("Where is this field going?",
         "Better estimates per pass (FZOO, low-rank perturbations), ES on large models (2025), "
         "and the open question of why small populations suffice. Dates matter: say when you "
         "last looked.")],
    rows=["R106", "R107", "R109", "R119", "R120", "R122", "R125", "R140"],
)


@exercise("16.9", "GRPO: better than the others", kind="implement", difficulty=2, minutes=10,
          points=3, names=["group_advantages"],
          hints=["A text is compared with the texts after the same prompt only. Which are they?",
                 "mine = prompts == prompt picks a group; its advantages are (r − mean) / std.",
                 "loop over np.unique(prompts); r = rewards[prompts == k]; if r.max() > r.min(): "
                 "put (r - r.mean()) / r.std() in their places; the rest stays 0"],
          followups=[
              ("What takes the place of the group's mean in PPO, and what does that save?",
               "A second network, the critic, that learns to foresee the reward. GRPO needs "
               "neither its memory nor its training, but several texts after each prompt."),
              ("What does dividing by the standard deviation do to prompts that are nearly always "
               "solved?",
               "It makes their rare failures weigh most: 1 of 64 gets about −8. Liu et al. (2025, "
               "Dr. GRPO) leave the division out, for it weighs prompts by how hard they are."),
              ("A group is all right or all wrong. What has been learnt from it?",
               "Nothing: all advantages are 0, the symbols are paid for. So a reward that is "
               "nearly never earned, or nearly always, wastes most groups.")],
          rows=["R078"])
def group_advantages(answer, rng):
    def by_group(rewards, prompts, scaled):
        A = np.zeros(len(rewards))
        for k in np.unique(prompts):
            r = rewards[prompts == k]
            A[prompts == k] = scaled(r) if np.ptp(r) else 0.0
        return A

    for case in rng.permutation(["right or wrong", "numbers", "numbers, a group of one",
                                 "numbers, a group of equals"]).tolist():
        sizes = rng.permutation([2, 4, int(rng.integers(12, 18))])
        names = rng.choice(np.arange(2, 100), size=4, replace=False)
        prompts = np.repeat(names[:3], sizes)
        if case == "right or wrong":
            wrong = np.where(sizes == 4, 2, 1)
            rewards = np.concatenate([rng.permutation(np.arange(n) >= k)
                                      for n, k in zip(sizes, wrong, strict=True)]).astype(int)
        else:
            rewards = rng.normal(size=len(prompts)) + 3 * rng.normal(size=3).repeat(sizes)
        if case.endswith("one"):
            prompts, rewards = np.append(prompts, names[3]), np.append(rewards, 2.5)
        if case.endswith("equals"):
            prompts, rewards = np.append(prompts, [names[3]] * 4), np.append(rewards, [1.5] * 4)
        order = rng.permutation(len(prompts))
        prompts, rewards = prompts[order], rewards[order]
        want = by_group(rewards, prompts, lambda r: (r - r.mean()) / r.std())
        above = by_group(rewards, prompts, lambda r: r - r.mean())
        got = as_array(answer.call("group_advantages", rewards, prompts), case=case,
                       shape=rewards.shape,
                       nan="Rewards that are all the same have the standard deviation 0.")
        expect_close(got, want, case=case, mistakes={
            "all texts were one group: compare those after the same prompt only":
                (rewards - rewards.mean()) / rewards.std(),
            "the deviations are not divided by the group's standard deviation": above,
            "they are put into an array of whole numbers, which cuts them off: `np.zeros_like` "
            "of whole numbers holds such": np.trunc(want),
            "they are divided by the variance":
                by_group(rewards, prompts, lambda r: (r - r.mean()) / r.var()),
            "they are divided by the standard deviation of all rewards":
                above / rewards.std(),
            "the standard deviation was taken with n − 1; the task says n":
                by_group(rewards, prompts, lambda r: (r - r.mean()) / r.std(ddof=1)),
            "the sign is turned: a text that is better than its group is above 0": -want,
            "the mean of the group is not taken off":
                by_group(rewards, prompts, lambda r: r / r.std())},
            usually="within each group the advantages have the mean 0 and the standard deviation "
                    "1, and they stand in the order of the rewards")


@exercise("16.10", "GRPO: where the clip bites", kind="implement", difficulty=2, minutes=10,
          points=3, names=["surrogate_slope"],
          hints=["Draw min(r A, clip(r, 1 − ε, 1 + ε) A) over r, once for A > 0 and once for "
                 "A < 0. On which side is it flat?",
                 "It is flat above 1 + ε if A > 0, and below 1 − ε if A < 0. Elsewhere it is r A. "
                 "And r = exp(log p − log p_old), so dr / d log p = r.",
                 "np.where((A > 0) & (r > 1 + eps) | (A < 0) & (r < 1 - eps), 0, r * A)"],
          followups=[
              ("Why is a bad text whose ratio is above 1 + ε not clipped?",
               "It has become likelier although it is bad. The step that undoes this must be "
               "free; the clip only ends a push that has gone far enough."),
              ("With a single update after each batch of texts, how often does the clip act?",
               "Never: all ratios are 1. That is how DeepSeekMath was trained."),
              ("Does the clip keep the ratios between 1 − ε and 1 + ε?",
               "No. It takes away the push of that symbol, but others move the same weights, and "
               "a large step can leap over the edge.")],
          rows=["R078"])
def surrogate_slope(answer, rng):
    for _ in range(3):
        eps = rng.uniform(0.1, 0.35)
        far, near = eps * rng.uniform([[1.3], [0.2]], [[2.5], [0.8]],
                                      size=(2, int(rng.integers(2, 5))))
        edge = eps * np.array([0.97, 1.03])  # log ratio and 1/ratio have other edges
        ratio = np.concatenate([1 + far, 1 - far, 1 + near, 1 - near, 1 + edge, 1 - edge,
                                rng.uniform(4, 8, size=1), rng.uniform(0.01, 0.04, size=1)]
                               ).repeat(4)
        A = rng.uniform(0.4, 0.9, size=len(ratio)) * np.tile([1, -1, 2.5, -2.5], len(ratio) // 4)
        ratio, A = np.append(ratio, [1 + far[0], 1 - far[1], 1.0]), np.append(A, [0.0, 0.0, 0.7])
        order = rng.permutation(len(A))
        ratio, A = ratio[order], A[order]
        flat = np.where(A > 0, ratio > 1 + eps, ratio < 1 - eps)
        want = np.where(flat, 0.0, ratio * A)
        inside = np.clip(ratio, 1 - eps, 1 + eps)
        got = as_array(answer.call("surrogate_slope", ratio, A, eps), shape=A.shape,
                       case=f"ε = {eps:.2f}", nan="Where nothing changes the slope is 0.")
        expect_close(got, want, case=f"ε = {eps:.2f}", mistakes={
            "this is the slope in the ratio; in log p another factor comes from the chain rule":
                np.where(flat, 0.0, A),
            "this is the value, not its slope": np.minimum(ratio * A, inside * A),
            "whatever lies outside of the clip is flat: it depends on the sign of A, on which "
            "side": np.where(inside == ratio, ratio * A, 0.0),
            "the sides are exchanged: the smaller of the two counts, not the larger":
                np.where(np.where(A > 0, ratio < 1 - eps, ratio > 1 + eps), 0.0, ratio * A),
            "nothing is clipped": ratio * A,
            "the sign is turned: this would be the slope of a loss, and it is to be raised": -want,
            "only what lies above 1 + ε is clipped, whatever the sign of A":
                np.where(ratio > 1 + eps, 0.0, ratio * A),
            "for A < 0 nothing is clipped": np.where((A > 0) & flat, 0.0, ratio * A),
            "for A > 0 nothing is clipped": np.where((A < 0) & flat, 0.0, ratio * A)},
            usually="take one ratio above 1 + ε and one below 1 − ε, each with A = 1 and with "
                    "A = −1, and change log p a little: in two of the four nothing changes")


@exercise("16.11", "The price before the run", kind="implement", difficulty=2, minutes=12,
          points=3, names=["predicted_price"],
          hints=["Two numbers of H are needed, the largest curvature and the trace. Both come from "
                 "products with vectors.",
                 "L: rounds times v = H u, L = ‖v‖, u = v / L. Trace: the mean of s · H s. Then "
                 "r = trace / L.",
                 "for _ in range(rounds): v = times(u); L = np.linalg.norm(v); u = v / L\n"
                 "then the mean over the signs, and 4 (r + 2) / 3"],
          followups=[
              ("Why is the mean of s · H s the trace?",
               "s · H s is the sum of H_ij s_i s_j. For i = j the signs give 1; for i ≠ j they are "
               "as often 1 as −1 (Hutchinson 1989). The diagonal itself costs no noise."),
              ("What does this cost, in forward-equivalents?",
               "A product with H costs about two gradients, 6. The chapter's 32 products, each on "
               "six batches, come to about 1,200: what MeZO pays for one rate that it tries."),
              ("Which assumption fails where some curvatures are negative?",
               "The trace then subtracts them, but noise along them moves the weights all the "
               "same. r may come out below 1, which no spectrum of positive curvatures can.")],
          rows=["R128", "R105"])
def predicted_price(answer, rng):
    for d, n, rounds in zip(rng.permutation(np.arange(5, 10))[:3].tolist(),
                            rng.permutation(np.arange(3, 9))[:3].tolist(),
                            rng.permutation(np.arange(2, 7))[:3].tolist(), strict=True):
        A = rng.normal(size=(d, d + 2))
        H = A @ A.T / d
        u, signs = rng.normal(size=d), rng.choice([-1.0, 1.0], size=(n, d))
        u /= np.linalg.norm(u)
        lengths, quotients, v = [], [], u
        for _ in range(rounds + 1):
            w = H @ v
            quotients.append(v @ w)
            lengths.append(np.linalg.norm(w))
            v = w / lengths[-1]
        L, trace = lengths[rounds - 1], np.einsum("ni,ij,nj->n", signs, H, signs)
        case = f"H {d} × {d}, {n} rows of signs, {rounds} rounds"
        shapes = []

        def times(v, H=H, shapes=shapes):
            shapes.append(np.shape(v))
            return H @ v

        r, price = expect_parts(answer.call("predicted_price", times, u.copy(), signs.copy(),
                                            rounds), 2, case=case, what="r and the price")
        other = [shape for shape in shapes if shape != (d,)]
        expect(not other, f"{case}: times was asked with shape {other[0] if other else ''}; it "
               f"takes one vector, of shape {(d,)}, at a time")
        want = trace.mean() / L
        expect_close(r, want, case=f"{case}: r", rtol=1e-6, mistakes={
            "it is upside down: the trace is divided by L": 1 / want,
            "the rows of signs were added up, without dividing by their number": trace.sum() / L,
            "this is the trace alone": trace.mean(),
            "there was one round too few": trace.mean() / lengths[rounds - 2],
            "there was one round too many": trace.mean() / lengths[rounds],
            "L is the quotient u · H u here; the task asks for the length of H u":
                trace.mean() / quotients[rounds - 1]},
            usually="take H = diag(3, 1) and one round from u = (1, 0): L is 3, the trace 4, with "
                    "any signs")
        expect_close(price, 4 * (want + 2) / 3, case=f"{case}: price", rtol=1e-6, mistakes={
            "the 2 that is added to r is missing": 4 * want / 3,
            "this is the ratio of the steps; a step of MeZO costs 2 and a gradient 3":
                2 * (want + 2)},
            usually="r is right: put it into the formula of the task")


@exercise("16.12", "Which activations to keep?", kind="derive", difficulty=2, minutes=8, points=2,
          names=["best_spacing"],
          hints=["Write the peak as a function of k: one part falls with k, the other grows.",
                 "Peak: layers / k + k · inside. Where is its derivative zero?",
                 "k² = layers / inside. Put it back in: both parts are the same."],
          followups=[
              ("How does the peak grow with the number of layers?",
               "With its square root (Chen et al. 2016), against in proportion without "
               "checkpoints."),
              ("What does it cost?",
               "One more forward pass: a gradient of 3 becomes one of 4, a third more."),
              ("Which is better at a long context, this or MeZO?",
               "This, where it fits: it pays a third, MeZO pays its price. MeZO is for what still "
               "does not fit: the gradient itself is as large as the weights.")],
          rows=["R106", "R120"])
def best_spacing(answer, rng):
    for layers, inside in ((int(rng.integers(100, 200)), rng.uniform(3, 20)),
                           (int(rng.integers(40, 100)), rng.uniform(3, 20)),
                           (int(rng.integers(12, 20)), rng.uniform(30, 60))):
        case = f"{layers} layers, inside {inside:.3g}"
        k, peak = expect_parts(answer.call("best_spacing", layers, inside), 2, case=case,
                               what="k and the peak")
        best, lowest = np.sqrt(layers / inside), 2 * np.sqrt(layers * inside)
        expect_close(k, best, case=f"{case}: k", rtol=1e-4, mistakes={
            "it is upside down": 1 / best,
            "this is k²": best**2,
            "that would be right if an inside weighed as much as an input": np.sqrt(layers),
            "the more the inside weighs, the shorter the stretch": np.sqrt(layers * inside)},
            usually="draw layers / k + k · inside over k, and see where it is lowest")
        expect_close(peak, lowest, case=f"{case}: peak", rtol=1e-4, mistakes={
            "this is one of the two parts, and they are the same size": lowest / 2,
            "this is what stays without checkpoints": layers * inside},
            usually="k is right: put it into the sum of the two parts")
