"""Chapter 11: a fair race."""

from itertools import combinations

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_form,
    expect_parts,
    incorrect,
)

choice(
    "11.1", "A claim to judge", difficulty=1, minutes=4, points=1, right="b",
    options={
        "a": "Longer runs help whoever was slow at a rate that did not suit it. The rates still do "
             "not suit, and the training loss still is not what we want to know.",
        "b": "Equal trials for all, a choice on validation data, a report on test data, and "
             "several seeds to see what luck can do. Now the difference can be one of optimizers.",
        "c": "The same number is not the same condition. A step of gradient descent is lr times "
             "the gradient, one of Adam about lr itself: in the chapter their good rates lie a "
             "factor of thirty or more apart.",
        "d": "That makes the answer more precise, but it is the answer to another question: which "
             "*default setting* is better.",
    },
    hints=["What was the same for all methods in this test, and what should have been?",
           "Look at the basins of the chapter: which learning rate suits all of them?",
           "Four things are wrong: the tuning, the number of runs, the kind of loss, and the data "
           "it was measured on. Which option repairs all?"],
    followups=[
        ("How do you choose the learning rates to try?",
         "Evenly on a logarithmic scale, as many for each method, wide enough that the best one is "
         "not at the end of the range. If it is at the end, widen the range and run again."),
        ("Which measure would you report for a classifier with rare classes, and for a language "
         "model?",
         "Precision and recall of the rare class, or macro-averaged F1; for a language model the "
         "perplexity on held-out text. Accuracy hides rare classes and ignores how sure the model "
         "is."),
        ("How many seeds?",
         "Enough for an interval that is smaller than the difference you care about. Pair the runs "
         "(same split, same seed), and fewer are needed.")],
    rows=["R132", "R138", "R143", "R144", "R141", "E76", "E77"],
)


def _forward(X, W1, b1, W2, b2):
    A = np.tanh(X @ W1 + b1)
    Z = A @ W2 + b2
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    return A, P / P.sum(axis=1, keepdims=True)


@exercise("11.2", "Backpropagation by hand", kind="implement", difficulty=3, minutes=20, points=4,
          names=["loss_and_gradients"],
          hints=["Go forward and keep what each layer receives. Then start at the top: what is the "
                 "gradient of the mean cross-entropy in the logits?",
                 "D = (P − one-hot) / n. Then ∇W2 = Aᵗ D, ∇b2 = the sum of D's rows; below, "
                 "D' = (D W2ᵗ) ∘ (1 − A²), ∇W1 = Xᵗ D', ∇b1 = the sum of its rows.",
                 "A = np.tanh(X @ W1 + b1); P = softmax(A @ W2 + b2)\n"
                 "D = P; D[range(n), y] -= 1; D /= n\n"
                 "… and return loss, dW1, db1, dW2, db2"],
          followups=[
              ("What does the gradient cost, compared with the loss?",
               "About twice as much again: each product of the forward pass has two of the same "
               "size on the way back. So forward plus backward is about three forwards."),
              ("Why is (P − one-hot) so simple?",
               "The exponential of the softmax and the logarithm of the loss cancel. This is why "
               "the two are written as one function."),
              ("How do you test a backward pass?",
               "In float64, against central differences along random directions; and on a network "
               "whose layers have different widths, so that a wrong transposition fails.")],
          rows=["R036", "R053", "R034", "R114", "E71", "E74"])
def loss_and_gradients(answer, rng):
    for case, n in rng.permutation([("", int(rng.integers(6, 10))), (UNEQUAL, 8), (ALONE, 1)]):
        n, sizes = int(n), rng.permutation([3, 4, 5, 6])[:3].tolist()
        X, y = rng.normal(size=(n, sizes[0])), rng.integers(sizes[2], size=n)
        W1, b1 = rng.normal(size=sizes[:2]), rng.normal(size=sizes[1])
        W2, b2 = rng.normal(size=sizes[1:]), rng.normal(size=sizes[2])
        if case == UNEQUAL:
            _make_unequal(X, y, W1, b1, W2, b2)
        _expect_backward(answer, X, y, W1, b1, W2, b2, f"a {'-'.join(map(str, sizes))} network"
                         f", {n} example{'s' * (n > 1)}{case}")


ALONE = " alone"
UNEQUAL = ", the last class in none of them, and logits far apart"


def _make_unequal(X, y, W1, b1, W2, b2):
    """Change all in place: the last class never occurs, one right class has the probability of
    e^-18 beside the likeliest, and logits and gradients are large, so that whatever is added, or
    cut off, shows."""
    Z = np.tanh(X @ W1 + b1) @ W2 + b2
    y[:] %= Z.shape[1] - 1
    gaps = Z.max(axis=1, keepdims=True) - Z
    row, least = np.unravel_index(gaps.argmax(), gaps.shape)
    y[row] = 0
    W2[:, [0, least]], b2[[0, least]] = W2[:, [least, 0]], b2[[least, 0]]
    W2 *= 18 / gaps.max()
    b2 *= 18 / gaps.max()
    b2 += 24 - (np.tanh(X @ W1 + b1) @ W2 + b2)[row].max()
    X *= 20
    W1 /= 20


def _expect_backward(answer, X, y, W1, b1, W2, b2, case):
    n, classes = len(y), len(b2)
    loss, *got = expect_parts(answer.call("loss_and_gradients", X, y, W1, b1, W2, b2), 5,
                              case=case, what="the loss and four gradients")
    A, P = _forward(X, W1, b1, W2, b2)
    nats = -np.log(P[np.arange(n), y])
    expect_close(loss, nats.mean(), case=f"{case}: the loss", mistakes={
        "it is the sum over the examples, not the mean": nats.sum(),
        "the minus sign is missing": -nats.mean(),
        "the logarithm has base 2": nats.mean() / np.log(2)},
        usually="go forward with one example: tanh of the hidden layer, softmax over its own row "
                "of logits, and the probability of its own class, as it is")
    D = (P - np.eye(classes)[y]) / n
    below = D @ W2.T
    D1 = below * (1 - A**2)
    right = X.T @ D1, D1.sum(axis=0), A.T @ D, D.sum(axis=0)
    wrong = {"the sum over the examples is not divided by their number": [n * g for g in right],
             "the sign is flipped": [-g for g in right]}
    flat, inner = below, below * (1 - np.tanh(A) ** 2)
    for name, g, want, *others in zip(("dW1", "db1", "dW2", "db2"), got, right,
                                      *wrong.values(), strict=True):
        mistakes = dict(zip(wrong, others, strict=True))
        if name in ("dW1", "db1"):
            for said, D_ in (("the slope of tanh, 1 − A², is missing", flat),
                             ("tanh was applied twice in its slope: with A = tanh(…), it is "
                              "1 − A²", inner)):
                mistakes[said] = X.T @ D_ if name == "dW1" else D_.sum(axis=0)
        if name[1] == "b":
            mistakes["it is the mean over the examples once too often"] = want / n
        expect_close(g, want, case=f"{case}: {name}", mistakes=mistakes,
                     usually="compare it with a central difference of the loss in one entry")


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


@exercise("11.3", "Repair: one error for all layers", kind="debug", difficulty=3, minutes=15,
          points=3, names=["layer_gradients"],
          hints=["Which two arrays make the gradient of a layer's weights? Are they the same for "
                 "every layer?",
                 "∇W_l = A_{l−1}ᵗ D_l, with A_{l−1} the input of layer l, and "
                 "D_{l−1} = (D_l W_lᵗ) ∘ A_{l−1} (1 − A_{l−1}).",
                 "keep a list of all activations, beginning with X; walk through the weights in "
                 "reverse, put A.T @ D in front of a list, then take D down a layer"],
          followups=[
              ("Why did the broken program run at all?",
               "All layers of the test network are equally wide, so that every shape fits. With "
               "layers of different widths it fails at once: always test with those."),
              ("A friend's network is given as the list of its layer sizes, and the backward pass "
               "says `zip(sizes, deltas)`. What is wrong?",
               "Sizes are whole numbers, not activations: what backpropagation needs are the "
               "outputs of the layers in the forward pass, and they have to be kept.")],
          rows=["R090", "R091", "R092", "R036", "E72", "E73"])
def layer_gradients(answer, rng):
    n, width, more = (int(k) for k in rng.integers((5, 3, 0), (9, 6, 2)))
    for sizes in ((width,) * 4, (5, 3, 4, 2, 3, *[3] * more), (4, 1, 3), (3, 2)):
        weights = [rng.normal(size=shape) for shape in zip(sizes, sizes[1:], strict=False)]
        X, Y = rng.normal(size=(n, sizes[0])), rng.uniform(size=(n, sizes[-1]))
        A = [X]
        for W in weights:
            A.append(_sigmoid(A[-1] @ W))

        def backward(through=True, slope=True, A=A, Y=Y, weights=weights):
            D = (A[-1] - Y) * A[-1] * (1 - A[-1]) / len(Y)
            result = []
            for W, below in zip(reversed(weights), reversed(A[:-1]), strict=True):
                result.insert(0, below.T @ D)
                if through:
                    D = (D @ W.T) * (below * (1 - below) if slope else 1)
            return result

        case = f"layers of {', '.join(map(str, sizes))} units"
        got = answer.call("layer_gradients", weights, X, Y)
        got = expect_parts(got, len(weights), case=case,
                           what="a gradient for each matrix of weights")
        for l in reversed(range(len(weights))):
            mistakes = {}
            for said, value in (
                    ("the error D of the last layer is used here, too: take it down through the "
                     "weights", backward(through=False)[l]),
                    ("the slope of the sigmoid, A (1 − A), is missing on the way down",
                     backward(slope=False)[l])):
                mistakes[said] = value
            D = (A[-1] - Y) * A[-1] * (1 - A[-1]) / len(Y)
            mistakes["this layer is given X as its input, not the activations below it: keep those "
                     "of the forward pass, and take them in reverse"] = X.T @ D
            mistakes["they come in the order of the way back, from the last layer to the first"] = (
                backward()[-1 - l])
            expect_close(got[l], backward()[l], case=f"{case}, weights {l + 1}",
                         mistakes=mistakes,
                         usually="each layer needs its own input and its own error")


def _reference(method, lr, gradients):
    """The change of the weights at each step, for gradients (steps, …)."""
    first, second, steps = 0, 0, []
    for t, g in enumerate(gradients, start=1):
        if method == "momentum":
            first = 0.9 * first + g
            steps.append(-lr * first)
        elif method == "rmsprop":
            second = 0.99 * second + 0.01 * g**2
            steps.append(-lr * g / (np.sqrt(second) + 1e-8))
        else:
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            steps.append(-lr * first / (1 - 0.9**t)
                         / (np.sqrt(second / (1 - 0.999**t)) + 1e-8))
    return steps


@exercise("11.4", "Three optimizers, one network", kind="implement", difficulty=2, minutes=20,
          points=4, in_place=(0,), names=["Optimizer"],
          hints=["A network has several arrays, and each needs its own memory. Where do you keep "
                 "as many velocities as there are arrays? And what is counted once per step, not "
                 "once per array?",
                 "momentum: v ← 0.9 v + g, −lr v. rmsprop: S ← 0.99 S + 0.01 g², "
                 "−lr g / (√S + 1e-8). adam: m ← 0.9 m + 0.1 g, v ← 0.999 v + 0.001 g², "
                 "−lr m̂ / (√v̂ + 1e-8), with m̂ = m / (1 − 0.9ᵗ), v̂ = v / (1 − 0.999ᵗ).",
                 "__init__: keep method and lr; t = 0; no memory yet\n"
                 "step: at the first call make zeros for each array; t += 1; "
                 "return one new array for each pair of array and gradient, from the memory "
                 "number i"],
          followups=[
              ("How much memory does each need for a network with d parameters?",
               "The weights d, the gradient d; momentum and RMSprop keep d more, Adam 2 d."),
              ("Which of the three would you try first, and what would you tune?",
               "Adam, and the learning rate on a logarithmic grid; then a schedule that falls to "
               "zero. Momentum if memory is short and there is time to tune."),
              ("Why one flat vector for all parameters, as the course's models have it?",
               "Then an optimizer needs no loop over arrays, and its state is one vector, too.")],
          rows=["R090", "R091", "R092", "R099", "R114", "R115", "R116", "E74"])
def optimizer(answer, rng):
    steps = 6
    for method in ("momentum", "rmsprop", "adam"):
        lr, rows, width = rng.uniform(0.01, 0.1), *(int(k) for k in rng.integers(3, 7, size=2))
        shapes = (rows, width), (width,), (2,), (width,), *[(3,)] * int(rng.integers(2))
        start = [rng.normal(size=shape) for shape in shapes]
        falling = np.geomspace(4, 0.2, steps)  # so that a memory that never fades shows
        gradients = [[scale * rng.normal(size=shape) for shape in shapes] for scale in falling]
        for g in gradients:
            g[0][:, 0] = 0  # a unit that is never active, and one that hardly is: for these is ε
            g[2] *= 1e-8
        wanted = [_reference(method, lr, part) for part in zip(*gradients, strict=True)]
        handle, weights, moved = answer.make("Optimizer", method, lr), start, start
        for t in range(steps):
            if t == 2:  # another one beside it, with its own rate and memory
                other = answer.make("Optimizer", method, 3 * lr)
                got = expect_parts(other.call("step", start, gradients[0]), len(shapes),
                                   case=f"{method}, a second optimizer",
                                   what="one new array for each")
                for i, w in enumerate(start):
                    expect_close(got[i], w + 3 * wanted[i][0], start=w, rtol=1e-4,
                                 case=f"{method}, the first step of a second optimizer, array "
                                      f"{i + 1}", usually=SHARED)
            got = expect_parts(handle.call("step", weights, gradients[t]), len(shapes),
                               case=f"{method}, step {t + 1}", what="one new array for each array")
            for i, w in enumerate(weights):
                case = f"{method}, step {t + 1}, array {i + 1}"
                value = np.asarray(got[i])
                expect(value.dtype.kind != "f" or np.isfinite(value).all(), f"{case}: nan or "
                       "infinity, where a unit was never active: its gradient and its memory are "
                       "0, and 0/0 is nan. What is there to prevent it?")
                mistakes = _optimizer_mistakes(method, t, i, w, gradients, lr, wanted[i][t])
                if t > 0:
                    mistakes["it moves arrays that it has kept: whoever calls it may have changed "
                             "them, so move those that are given"] = moved[i] + wanted[i][t]
                expect_close(got[i], w + wanted[i][t], case=case, rtol=1e-4, start=w,
                             mistakes=mistakes, usually=SHARED if t == 2 else
                             "each array needs a memory of its own, and t is counted once a step, "
                             "not once an array. Compare the settings with the task's, and where "
                             "ε stands")
            moved = [w + part[t] for w, part in zip(moved, wanted, strict=True)]
            weights = [w + rng.normal(size=w.shape) for w in moved]


SHARED = ("something belongs to the class or to a global name, so that all optimizers share it: "
          "set it in `__init__`, on `self`")


def _optimizer_mistakes(method, t, i, w, gradients, lr, change):
    g = gradients[t][i]
    mistakes = {"it goes uphill: the step is minus": w - change}
    if method == "momentum" and t > 0:
        mistakes["the velocity of the step before is forgotten"] = w - lr * g
    if method == "momentum":
        mistakes["the gradient is multiplied by 1 − 0.9; here it is added in full"] = (
            w + 0.1 * change)
    if method == "rmsprop":
        if t > 0:
            mistakes["the memory of g² is forgotten: it starts anew at every step"] = (
                w - lr * g / (np.sqrt(0.01 * g**2) + 1e-8))
        mistakes["this is plain gradient descent"] = w - lr * g
    if method == "adam":
        past = [part[i] for part in gradients[:t + 1]]
        if t == 0:
            mistakes["the bias correction is missing: the first step is 3.16 times too long"] = (
                w - lr * 0.1 * g / (np.sqrt(0.001 * g**2) + 1e-8))
        if i:
            per_array = len(gradients[0]) * t + i + 1
            mistakes["t is counted once an array, and not once a step"] = (
                w + _adam_step(lr, past, t=per_array))
        if t > 0:
            mistakes["m and v start anew at every step"] = (
                w + _adam_step(lr, past[-1:], t=t + 1))
            mistakes["v never falls, as in AMSGrad"] = w + _adam_step(lr, past, never_falls=True)
    return mistakes


def _adam_step(lr, past, t=None, never_falls=False):
    """The last change of the weights for the gradients `past`, corrected as if it were step t."""
    m = v = top = 0
    for g in past:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        top = np.maximum(top, v)
    t = t or len(past)
    v_hat = (top if never_falls else v) / (1 - 0.999**t)
    return -lr * m / (1 - 0.9**t) / (np.sqrt(v_hat) + 1e-8)


@exercise("11.5", "When to stop", kind="implement", difficulty=2, minutes=10, points=2,
          names=["early_stop"],
          hints=["Two things have to be remembered on the way: the lowest loss so far with its "
                 "epoch, and how long ago that was.",
                 "Epoch t is a new lowest if its loss is below all before. Stop at the first t "
                 "with t − best = patience.",
                 "best, lowest = 0, inf\nfor t, loss in enumerate(losses, start=1): "
                 "if loss < lowest, remember both; elif t - best == patience, return t, best\n"
                 "after the loop: return len(losses), best"],
          followups=[
              ("Which parameters do you keep?",
               "Those of the best epoch, not those of the epoch at which you stopped. So they have "
               "to be copied whenever there is a new lowest loss."),
              ("When does early stopping lie to you?",
               "If the validation part is small, its lowest loss is partly luck, and a good loss "
               "on it promises too much. Report on a test part that took no part in the choice."),
              ("Name two other rules for stopping, and how each fails.",
               "A fixed number of steps: too early or too late, for no reason in the data. A "
               "small gradient or a loss that no longer falls: it says that training is over, not "
               "that it was useful; on a plateau it is not even that.")],
          rows=["R031", "R032", "R045", "R133"])
def early_stop(answer, rng):
    telling = [  # what the losses must tell apart from the right answer, and how often to ask
        ("for ever", 1), ("all", 2), ("equal", 2), ("rises", 1), ("total", 1), ("late", 1),
        ("lookback", 1), ("tied", 1)]
    cases = [_losses(rng, what) for what, times in telling for _ in range(times)]
    falling = np.sort(rng.uniform(0.5, 2, size=rng.integers(4, 9)))[::-1].round(2).tolist()
    short = [*falling, round(falling[-1] + 0.1, 2)]  # ends too early to stop, not with the best
    slowly = (0.7 - 1e-6 * np.arange(rng.integers(4, 7))).round(7).tolist()
    cases += [(falling, 1), (short, 2), (slowly, 2), (short[:1], 2), (short[-2:], 5)]
    cases += [_losses(rng, "late", patience=1), _losses(rng, "early", patience=6)]
    losses, patience = _losses(rng, "all")  # in other units, and down to zero and below it
    lowest = losses[_stop(losses, patience)[1] - 1]
    cases += [([loss * 1e10 for loss in losses], patience),
              ([round(loss - lowest, 1) for loss in losses], patience)]
    for k in rng.permutation(len(cases)):
        losses, patience = cases[k]
        case = f"losses {losses}, patience {patience}"
        got = expect_parts(answer.call("early_stop", losses, patience), 2, case=case,
                           what="the epoch of the stop and the best epoch")
        want, wrong = _stop(losses, patience), _stopped_wrongly(losses, patience)
        outcomes = [outcome for name, outcome in wrong.items() if name not in RARE]
        expect_close(got, want, case=f"{case}: the epochs of the stop and of the best", mistakes={
            STOPPED[name]: outcome for name, outcome in wrong.items()
            if outcome != want and outcomes.count(outcome) == (name not in RARE)},
            usually="go through the losses by hand: how many epochs ago was the last *lowest* "
                    "loss? Each new lowest starts that count anew")


STOPPED = {
    "zero": "epochs are counted from 0; the first one is 1",
    "swapped": "the two are exchanged: the epoch of the stop comes first",
    "last": "the epoch of the stop is given twice; the best one came earlier",
    "all": "the best one is sought among all losses, but what comes after the stop is never seen",
    "for ever": "it never stops",
    "equal": "a loss equal to the lowest is taken for a new lowest",
    "rises": "rises in a row are counted; a fall that stays above the lowest ends no patience",
    "total": "epochs without a new lowest are counted in all; a new lowest starts the count anew",
    "lookback": "each loss is compared with the one `patience` epochs before, not with the lowest",
    "tied": "of several equal lowest losses the last is kept; the first one was the new lowest",
    "unset": "the lowest loss begins with a number that all these losses are above",
    "early": "it stops one epoch early",
    "late": "it stops one epoch late"}


RARE = "lookback", "unset"  # named only where no other mistake does the same


def _stop(losses, patience, equal=False, total=False):
    """The epochs of the stop and of the best, from 1; or those of a usual mistake."""
    best, since = 0, 0
    for t, loss in enumerate(losses[1:], start=1):
        if loss < losses[best] or equal and loss == losses[best]:
            best, since = t, since if total else 0
        else:
            since += 1
            if since == patience:
                return t + 1, best + 1
    return len(losses), best + 1


def _stopped_wrongly(losses, patience):
    """What the usual mistakes give: {name: (stop, best)}."""
    stop, best = _stop(losses, patience)
    lowest = losses.index(min(losses)) + 1
    rises, end = 0, len(losses)
    for t in range(1, len(losses)):
        rises = rises + 1 if losses[t] >= losses[t - 1] else 0
        if rises == patience:
            end = t + 1
            break
    wrong = {
        "zero": (stop - 1, best - 1), "swapped": (best, stop), "last": (stop, stop),
        "all": (stop, lowest), "for ever": (len(losses), lowest),
        "equal": _stop(losses, patience, equal=True),
        "rises": (end, losses.index(min(losses[:end])) + 1),
        "total": _stop(losses, patience, total=True),
        "late": _stop(losses, patience + 1)}
    until = losses[:stop]
    end = next((t for t in range(patience, len(losses)) if losses[t] >= losses[t - patience]),
               len(losses) - 1) + 1
    wrong["lookback"] = end, losses.index(min(losses[:end])) + 1
    wrong["tied"] = stop, stop - until[::-1].index(min(until))
    if losses[0] > 1e6:
        wrong["unset"] = patience, 0
    if patience > 1:
        wrong["early"] = _stop(losses, patience - 1)
    return wrong


def _losses(rng, what, patience=None):
    """Losses and a patience for which a mistake shows: `what`, from `STOPPED`."""
    given = patience
    while True:
        losses = (rng.integers(3, 20, size=rng.integers(7, 13)) / 10).tolist()
        patience = given or int(rng.integers(1, 5))
        want, wrong = _stop(losses, patience), _stopped_wrongly(losses, patience)
        told = [wrong[name] for name in ("rises", "equal", "for ever", "total", "all")
                if wrong[name] != want]
        if wrong[what] != want and len(set(told)) == len(told):  # each of these shows as itself
            return losses, patience


@exercise("11.6", "Predict: learning noise", kind="predict", difficulty=2, minutes=5, points=1,
          names=["answer_11_6"],
          hints=["The inputs say nothing about the target. What is the best a network can answer?",
                 "The best constant guess under squared error is the mean. What is left is the "
                 "variance.",
                 "The variance of a uniform number between 0 and 1 is ∫ (u − ½)² du."],
          followups=[
              ("Your training error falls below this number. Good news?",
               "No: the network learns the noise of the training part by heart. On new data it is "
               "then worse than the constant."),
              ("What is such a test good for?",
               "It tells what the score of no knowledge is. A result without that number cannot "
               "be judged.")],
          rows=["E75", "R053"])
def learning_noise(answer, rng):
    guess = answer.value("answer_11_6")
    expect_form(isinstance(guess, int | float) and not isinstance(guess, bool)
                and np.isfinite(guess), "predict one number, such as 0.5")
    expect(guess >= 0, "a mean of squares is never negative")
    if guess < 0.078:
        incorrect("that low: but on new data nothing is to be known about a target that was drawn "
                  "independently, and a guess cannot be better than the best constant.")
    expect(abs(guess - 1 / 6) > 0.004, "this is what you get by answering with another random "
           "number, 2/12. There is a better answer than that.")
    expect(abs(guess - 0.25) > 0.004, "this is the mean *absolute* error of the answer ½, or the "
           "square of ½. The question is for the mean square.")
    expect(guess <= 0.088, "a constant answer is better than that. Which constant is the best, "
           "and what does it leave?")
    expect(round(guess, 3) == 0.083, "close, but not to the three decimals that are asked: "
           "work the variance out, instead of rounding or measuring it.")
    return "1/12, the variance of the target: the score of no knowledge."


@exercise("11.7", "A start that keeps lengths", kind="implement", difficulty=2, minutes=10,
          points=2, names=["orthogonal"],
          hints=["Which factorization of a random matrix gives orthonormal columns?",
                 "A = Q R: the columns of Q are orthonormal. If the matrix is wider than tall, "
                 "make the rows orthonormal: factorize the transpose.",
                 "rng = np.random.default_rng(seed); A = rng.normal(size=(large, small)); "
                 "Q = np.linalg.qr(A)[0]; return Q or Q.T, whichever has the shape"],
          followups=[
              ("What does it buy in a deep linear network?",
               "A product of square orthogonal matrices is orthogonal: all singular values stay 1 "
               "at any depth. With Gaussian matrices of the right variance the length of a vector "
               "is kept on average, but the singular values of the product spread out."),
              ("And with tanh or relu between the layers?",
               "Then the slope of the activation enters each product; a gain is put in front (√2 "
               "for relu, He et al. 2015), and the property holds only roughly."),
              ("Does the start matter in the chapter's network?",
               "Little: with one hidden layer Adam did as well from a tenth of the usual start; "
               "from ten times the usual it was worse.")],
          rows=["R028", "R029", "R150"])
def orthogonal(answer, rng):
    seed = int(rng.integers(1000, 2**31))
    square, small, large = (int(n) for n in rng.integers((3, 3, 7), (9, 6, 11)))
    for shape in rng.permutation([(square, square), (large, small), (small, large), (large, 1),
                                  (1, large)]).tolist():
        case = f"n_in = {shape[0]}, n_out = {shape[1]}"
        W = as_array(answer.call("orthogonal", *shape, seed), case=case, shape=tuple(shape))
        G = W.T @ W if shape[0] >= shape[1] else W @ W.T
        which = "columns" if shape[0] >= shape[1] else "rows"
        if np.allclose(np.diag(G), 1, atol=1e-4) and not np.allclose(G, np.eye(len(G)), atol=1e-4):
            incorrect(f"{case}: the {which} have length 1, but they are not orthogonal to each "
                      "other.")
        if which == "rows" and np.allclose(np.linalg.norm(W, axis=0), 1, atol=1e-4):
            incorrect(f"{case}: the columns have length 1, but more columns than rows cannot be "
                      "orthogonal. Here it is the rows that should be orthonormal.")
        expect_close(G, np.eye(len(G)), case=f"{case}: products of the {which}", rtol=1e-4,
                     usually="a Gaussian matrix, however scaled, is orthogonal only roughly: take "
                             "the Q of its QR factorization")
        others = [seed + 1, seed - 1, seed + 1000, 0]
        for one in others:
            other = as_array(answer.call("orthogonal", *shape, one), case=case, shape=shape)
            same = np.isclose(np.abs(W), np.abs(other))
            expect(not same.all(), f"{case}: the seeds {seed} and {one} gave the same matrix, up "
                   "to signs. It should be random.")
            expect(same.mean() < 0.5, f"{case}: of the sizes of its {W.size} entries {same.sum()} "
                   f"are the same for the seeds {seed} and {one}. All of them should be random.")
        again = as_array(answer.call("orthogonal", *shape, 0), case=case, shape=shape)
        expect(np.allclose(again, other), f"{case}: the seed 0, given twice, gave two matrices")


def _chances(N, n):
    """Of n draws from N the lowest is the i-th lowest with these chances, (N,)."""
    i = np.arange(1, N + 1)
    return ((N - i + 1) / N) ** n - ((N - i) / N) ** n


def _expected_lowest(losses, n):
    return np.sort(losses) @ _chances(len(losses), n)


@exercise("11.8", "The price of tuning", kind="derive", difficulty=3, minutes=12, points=3,
          names=["expected_lowest"],
          hints=["Sort the losses. When is the lowest of n draws the i-th of them?",
                 "When all n draws are i-th or worse, but not all worse than i-th: "
                 "((N − i + 1) / N)ⁿ − ((N − i) / N)ⁿ, with i from 1.",
                 "losses = np.sort(losses); i = np.arange(1, N + 1); "
                 "return np.sum(losses * (((N - i + 1) / N)**n - ((N - i) / N)**n))"],
          followups=[
              ("What does the formula give for n = 1, and for n without end?",
               "The mean of all losses, and the lowest one."),
              ("One method's mean over the grid is bad and its lowest is good; the other's are "
               "both middling. Which one do you take?",
               "It depends on how many trials you can pay: with few the second, with many the "
               "first. Where the curves cross is the answer."),
              ("Why does the range from which the rates are drawn matter?",
               "A range in which most rates are useless makes any method look hard to tune. "
               "Report it; it is part of the result.")],
          rows=["R017", "R143", "R138"])
def expected_lowest(answer, rng):
    for N, n, what in rng.permutation([
            (6, 1, ""), (6, 3, ""), (5, 4, ", two of them equal"), (3, 5, ""), (1, 2, ""),
            (5, 2, ", some below 0")]).tolist():
        N, n = int(N), int(n)
        losses = rng.uniform(0.1, 3, size=N)
        if "equal" in what:
            losses[np.argsort(losses)[1]] = losses.min()
        if "below" in what:
            losses -= np.median(losses)
        case = f"{N} loss{'es' if N > 1 else ''}{what}, {n} draw{'s' if n > 1 else ''}"
        ordered, chance = np.sort(losses), _chances(N, n)
        mistakes = {"the highest of the draws is kept; the lowest is wanted":
                    ordered[::-1] @ chance}
        if n > 1:
            mistakes |= {
                "this is the mean of all, as if only one rate were drawn": losses.mean(),
                "this is the lowest of all losses: n draws may miss it": losses.min(),
                "each rate is drawn at most once; here a rate may be drawn again": np.mean(
                    [min(draw) for draw in combinations(losses, min(n, N))]),
                "the losses are not sorted first": losses @ chance,
                "equal losses count only once": _expected_lowest(np.unique(losses), n)}
        expect_close(answer.call("expected_lowest", losses, n), _expected_lowest(losses, n),
                     case=case, mistakes=mistakes, usually="weigh each sorted loss with the chance "
                     "that it is the lowest of the draws")
