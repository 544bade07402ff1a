"""The race of chapter 11: fifteen ways to train one small transformer, tuned alike.

Each contender is tuned with `TRIALS` trials of one training each, on validation text; then it is
trained with eight other seeds and measured on other text. That is done for a rate that falls to
zero; once more with equal cost for those whose steps cost more than a gradient; and for some of
them with a constant rate, and with smaller and larger batches of equally many examples. For the
small model of `next_words` only what tuning finds is recorded: its trainings are short.

`CONTENDERS`, `grids`, `fit`, `contest` and `step_cost` serve any model: the chapter races others.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

import numpy as np

from ..data import load_byte_pairs, load_documentation, load_sentences
from ..experiments import Knob, Scored, geometric, linear, near_one, tune
from ..models import LanguageModel, Transformer, contexts, sequences, train
from ..objective import GRADIENT_COST
from . import recorded

CONTEXT, TRIALS, SEEDS = 32, 12, range(10, 18)
STEPS, BATCH = 240, 16  # of the transformer
WORD_STEPS, WORD_BATCH = 200, 64  # of the model of `next_words`
REFRESH = 10  # steps after which SOAP and Shampoo take their axes or roots anew


class Contender(NamedTuple):
    """A method of `train`, a second knob if it has one, and what is not tuned. With the knob
    "adam_lr" it trains the hidden matrices, and Adam with this rate all else."""

    method: str
    knob: str | None = None
    values: Knob | None = None
    fixed: dict = {}


MOMENTA, ADAMS = near_one(0.5, 0.95, 3), geometric(0.01, 0.1, 3)
CONTENDERS = {
    "gradient descent": Contender("gradient_descent"),
    "momentum": Contender("momentum", "beta", MOMENTA),
    "Nesterov": Contender("nesterov", "beta", MOMENTA),
    "Adagrad": Contender("adagrad"),
    "RMSprop": Contender("rmsprop", "rho", near_one(0.9, 0.999, 3)),
    "Adam": Contender("adam", "eps", geometric(1e-8, 1e-4, 3)),
    "sign descent": Contender("sign_descent"),
    "Lion": Contender("lion", "beta2", near_one(0.9, 0.999, 3)),
    "Adafactor": Contender("adafactor", "beta2_decay", linear(-1, -0.4, 3)),
    "Shampoo": Contender("shampoo", "adam_lr", ADAMS, {"eps": 1e-6, "refresh": REFRESH}),
    "SOAP": Contender("soap", "adam_lr", ADAMS, {"weight_decay": 0.0, "refresh": REFRESH}),
    "Muon": Contender("muon", "adam_lr", ADAMS, {"weight_decay": 0.0}),
    # Controls: what Muon shares with these is a second rate; Adam's knob might be the wrong one.
    "momentum + Adam": Contender("momentum", "adam_lr", ADAMS),
    "Adam, two rates": Contender("adam", "adam_lr", ADAMS),
    "Adam, β₂ tuned": Contender("adam", "beta2", near_one(0.9, 0.999, 3)),
}


def grids(rates: dict) -> dict:
    """The knobs of each contender, for `tune`: learning rates around ``rates``, and the second."""
    knobs = {}
    for name, lr in rates.items():
        _, knob, values, _ = CONTENDERS[name]
        knobs[name] = ({"lr": geometric(lr / 3, lr * 3, 3), knob: values} if knob else
                       {"lr": geometric(lr / 9, lr * 9, 5)})
    return knobs


def hidden(model) -> list[str]:
    """The matrices that are neither an embedding nor the head."""
    return [name for name, shape in model.shapes.items()
            if len(shape) == 2 and model.classes not in shape and name != "pos"]


def fit(model, contender, data, *, adam_lr=None, **how):
    """`train` as the contender does; ``how`` has its settings and all else that `train` takes."""
    method, _, _, fixed = CONTENDERS[contender]
    if adam_lr is not None:
        others = [name for name in model.parts if name not in hidden(model)]
        how["groups"] = [{"parts": others, "method": "adam", "lr": adam_lr}]
    return train(model, method, data, **(fixed | how))


def contest(task, knobs, trials, tuning, final, **how):
    """Tune on the seeds `tuning`, train on the seeds `final`. `task(seed)` is a model and its data,
    in (train, validation, test); ``how`` is for `train`.

    Returns the tuning, what it trained, {(method, lr): fits}, and {method: fits} of the rest.
    """
    trained, tasks = {}, {seed: task(seed) for seed in (*tuning, *final)}

    def one(method, seed, **settings):
        model, data = tasks[seed]
        return fit(model, method, data[0], validation=data[1], seed=seed, **settings, **how)

    def validation_loss(method, **settings):
        trained[method, settings["lr"]] = fits = [one(method, s, **settings) for s in tuning]
        return Scored([f.validation_losses.min() for f in fits],
                      sum(f.forward_equivalents[-1] for f in fits))

    tuned = tune(validation_loss, knobs, trials=trials)
    return tuned, trained, {name: [one(name, seed, **tuned[name].settings) for seed in final]
                            for name in knobs}


def tested(task, fits, seeds, measure="accuracy"):
    """The test accuracies (or "loss") of fits that `contest` made with these seeds."""
    return np.array([getattr(task(seed)[0], measure)(f.p, *task(seed)[1][2])
                     for f, seed in zip(fits, seeds, strict=True)])


# --- the ledger ------------------------------------------------------------------------------

def multiplications(method, m, n) -> float:
    """What a step multiplies beyond a gradient for an m × n matrix, but for what it does to each
    entry alone. Eigenvectors of a k × k matrix take about 4.5 k³ and a QR decomposition with its
    Q 4/3 k³ (Golub and Van Loan 2013, sections 8.3 and 5.2)."""
    m, n = sorted((m, n))
    both, cubes = m * m * n + m * n * n, m**3 + n**3
    return {"muon": 5 * (2 * m * m * n + m**3),
            "shampoo": 2 * both + (4.5 + 1) * cubes / REFRESH,
            "soap": 4 * both + (4 / 3 + 1) * cubes / REFRESH}.get(method, 0.0)


def step_cost(model, contender, examples, along=None) -> float:
    """Forward-equivalents of a step on so many examples: 3 for the gradient, and what the method
    multiplies, in forward passes of this batch. ``along`` names the matrices that it steps along,
    the `hidden` ones if not given."""
    products = [shape for name, shape in model.shapes.items()
                if len(shape) == 2 and name not in ("E", "pos")]
    forward = sum(map(math.prod, products))
    if isinstance(model, Transformer):  # at each position, and the two products of attention
        T = model.context
        forward = T * (forward + 2 * T * model.width * model.depth)
    more = sum(multiplications(CONTENDERS[contender].method, *model.shapes[name])
               for name in (hidden(model) if along is None else along))
    return GRADIENT_COST + more / (examples * forward)


# --- the transformer -------------------------------------------------------------------------

RATES = {"gradient descent": 3, "momentum": 1, "Nesterov": 1, "Adagrad": 0.1, "RMSprop": 0.01,
         "Adam": 0.03, "sign descent": 0.01, "Lion": 0.01, "Adafactor": 0.3, "Shampoo": 0.03,
         "SOAP": 0.01, "Muon": 0.03, "momentum + Adam": 1, "Adam, two rates": 0.01,
         "Adam, β₂ tuned": 0.03}
IN_LARGE = RATES | {"momentum": 3, "Lion": 0.03}  # with a batch of 64
ON_WORDS = {"gradient descent": 3, "momentum": 0.5, "Nesterov": 0.5, "Adagrad": 0.2,
            "RMSprop": 0.02, "Adam": 0.03, "sign descent": 0.01, "Lion": 0.003, "Adafactor": 0.1,
            "Shampoo": 0.03, "SOAP": 0.02, "Muon": 0.03, "momentum + Adam": 0.1,
            "Adam, two rates": 0.02}
DEARER = ("Shampoo", "SOAP", "Muon")
CONSTANT = ("momentum", "Adagrad", "RMSprop", "Adam", "Lion", "Adafactor", "SOAP", "Muon",
            "Adam, two rates")
IN_BATCHES = ("momentum", "Adam", "Lion", "Muon", "Adam, two rates")
CONTESTS = [{"contender": name, "schedule": schedule, "batch": batch, "equal": equal}
            for names, schedule, batch, equal in (
                (CONTENDERS, "linear", BATCH, "steps"), (DEARER, "linear", BATCH, "cost"),
                (CONSTANT, "constant", BATCH, "steps"), (IN_BATCHES, "linear", 64, "examples"),
                (IN_BATCHES, "linear", 4, "examples")) for name in names]
WORD_CONTESTS = [{"task": "next word", "contender": name, "equal": equal}
                 for names, equal in ((ON_WORDS, "steps"), (DEARER, "cost")) for name in names]
SETTINGS = [contest | {"seed": seed} for contest in CONTESTS for seed in (None, *SEEDS)] \
    + [contest | {"seed": None} for contest in WORD_CONTESTS] \
    + [CONTESTS[11] | {"borrowed": "constant", "seed": seed} for seed in SEEDS]
CHECK = SETTINGS.index(CONTESTS[5] | {"seed": SEEDS[0]})


@cache
def texts():
    """The model, and (X, y) of the training text, the validation text and that for the report."""
    docs, symbols = load_documentation(without="matplotlib"), load_byte_pairs()
    parts = docs.train[::8], docs.validation[::30], docs.validation[15::30]
    cut = [sequences(symbols.encode_texts(part), CONTEXT) for part in parts]
    return (Transformer(classes=len(symbols), context=CONTEXT, width=48, heads=3, layers=2),
            [(X[:size], y[:size]) for (X, y), size in zip(cut, (None, 100, 200), strict=True)])


@cache
def next_words(context=2, classes=200):
    """The next of the frequent words after so many words, in simple sentences: the model, and
    (X, y) of the training, the validation and the test words."""
    corpus = load_sentences()
    training, held_out = (re.findall(r"[a-z']+|\.", " ".join(sentences).lower())
                          for sentences in (corpus.train, corpus.validation))
    frequent = Counter(training).most_common(classes - 1)
    number = {word: i for i, (word, _) in enumerate(frequent, 1)}

    def examples(words):
        X, y = contexts(np.array([number.get(word, 0) for word in words]), context)
        return X[y > 0], y[y > 0]

    return (LanguageModel(classes=classes, context=context, embedding=16, hidden=32),
            [examples(words) for words in (training, held_out[:3000], held_out[-16000:])])


def steps_of(contender, batch, equal) -> int:
    if equal == "cost":
        return round(STEPS * GRADIENT_COST / step_cost(texts()[0], contender, batch))
    return STEPS * BATCH // batch if equal == "examples" else STEPS


def run(contender, equal, seed, schedule="linear", batch=BATCH, borrowed=None, task="transformer"):
    """Without a seed: what tuning finds. With one: the losses after each eighth of the training,
    with the settings found for this schedule or, as a control, for the one they are borrowed of."""
    if task == "next word":
        rates = ON_WORDS

        def validation_loss(_, **settings):
            return on_words(contender, 0, equal, **settings).validation_losses[-1]
    else:
        rates = IN_LARGE if batch > BATCH else RATES
        model, (learn, validation, report) = texts()
        steps = steps_of(contender, batch, equal)

        def trained(seed, held_out, every, **settings):
            return fit(model, contender, learn, validation=held_out, seed=seed, steps=steps,
                       every=every, batch_size=batch, schedule=schedule, warmup=steps // 10,
                       clip=1.0, **settings)

        def validation_loss(_, **settings):
            return trained(0, validation, steps, **settings).validation_losses[-1]

    if seed is None:
        knobs = grids({contender: rates[contender]})
        tuned = tune(validation_loss, knobs, trials=TRIALS)[contender]
        return {"settings": tuned.settings, "loss": tuned.best.loss, "good": tuned.good("lr"),
                "trials": [[*trial.settings.values(), trial.loss] for trial in tuned.trials]}
    settings = tuned_settings(contender, equal, schedule=borrowed or schedule, batch=batch)
    found = trained(seed, report, steps // 8, **settings)
    return {"steps": found.steps, "losses": found.validation_losses, "stopped": found.stopped}


def on_words(contender, seed, equal="steps", **settings):
    """A training of the model of `next_words`, its rate falling to zero: with the recorded
    settings, if none are given."""
    model, (learn, validation, _) = next_words()
    steps = WORD_STEPS
    if equal == "cost":
        steps = round(steps * GRADIENT_COST / step_cost(model, contender, WORD_BATCH))
    settings = settings or tuned_settings(contender, equal, task="next word")
    return fit(model, contender, learn, validation=validation, seed=seed, steps=steps, every=20,
               batch_size=WORD_BATCH, schedule="linear", **settings)


def finals(schedule="linear", batch=BATCH, equal="steps", borrowed=None) -> dict:
    """{contender: losses (seeds, 8)} of a recorded contest, after each eighth of the training."""
    found = {}
    for run in recorded("race"):
        if run["seed"] is not None and (schedule, batch, equal, borrowed) == (
                run["schedule"], run["batch"], run["equal"], run.get("borrowed")):
            found.setdefault(run["contender"], []).append(run["losses"])
    return {name: np.array(losses) for name, losses in found.items()}


def seconds() -> dict:
    """{contender: seconds} of the transformer's trainings at equal steps, the shortest of each."""
    found = {}
    for run in recorded("race"):
        if run["seed"] is not None and (run["batch"], run["equal"]) == (BATCH, "steps"):
            found.setdefault(run["contender"], []).append(run["seconds"])
    return {name: min(times) for name, times in found.items()}


def tuned_settings(contender, equal="steps", **contest) -> dict:
    """What the recorded tuning of a contest found. Of the transformer's name schedule and batch;
    the others have task="next word"."""
    wanted = {"contender": contender, "equal": equal, "seed": None} | contest
    return next(run["settings"] for run in recorded("race") if wanted.items() <= run.items())
