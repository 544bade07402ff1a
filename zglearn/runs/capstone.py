"""Chapter 16: what forward passes alone cost on the small transformer, in five fine-tunings.

A *task* is the text of a library that the model never read ("away"), or a question about it, put
with label words that fit ("words") or with symbols that mean nothing ("signs"). A *space* is what
may move: all parameters, LoRA's factors, or the embeddings of a prefix. Each forward pass and each
gradient is of a fresh minibatch; held-out losses, on which the rates are chosen too, are free.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..data import load_byte_pairs, load_documentation
from ..experiments import Scored, geometric, reach, tune
from ..gradient_free_methods import mezo
from ..gradient_methods import adam, gradient_descent
from ..models import Cloze, Transformer, pretrained, sequences
from ..models.flat import minibatches
from ..models.pretraining import manifest
from ..objective import Objective

WORDS = " the", " of", " is", " and"
SIGNS = "@", "^", "Z", "$"  # what the four words are called where the names shall mean nothing
LENGTH, QUESTION, PREFIX = 32, 16, 8  # symbols of a sequence, before a question's answer, put first
BATCH = {"away": 16, "words": 32, "signs": 32}  # sequences, or questions
CAP = 180  # forward-equivalents for those who have a gradient
BUDGET = 1000  # forward-equivalents for those who see losses only
RATES = {  # where the search for a learning rate begins
    "all": {"MeZO": geometric(1e-5, 1e-3, 5), "Adam": geometric(3e-5, 3e-3, 5),
            "gradient descent": geometric(1e-3, 1e-1, 5)},
    "lora": {"MeZO": geometric(1e-3, 1e-1, 5), "Adam": geometric(1e-3, 1e-1, 5),
             "gradient descent": geometric(0.03, 3, 5)},
    "prefix": {"MeZO": geometric(1e-3, 1e-1, 5), "Adam": geometric(1e-3, 1e-1, 5),
               "gradient descent": geometric(0.03, 3, 5)},
    "variant": {"one-sided": geometric(1e-4, 1e-2, 5), "sparse": geometric(3e-5, 3e-3, 5),
                "low rank": geometric(1e-5, 1e-3, 5), "diagonal": geometric(1e-5, 1e-3, 5)}}
TRIALS, SEEDS = 7, 3
RANK = 2  # of LoRA's change of each matrix of queries, keys and values


# --- the tasks and the spaces ------------------------------------------------------------------

@dataclass(frozen=True)
class Problem:
    """A task in a space: ``lift`` takes a point of the space to the model's parameters, ``pull``
    a gradient of them back."""

    model: Transformer
    start: np.ndarray
    lift: Callable
    pull: Callable
    batches: Callable[[int], Iterator]  # of a seed
    judges: dict  # {"tuning" or "report": (X, y)}, held out

    def objective(self, batches) -> Objective:
        model, lift, pull = self.model, self.lift, self.pull
        return Objective(lambda z, X, y: model.loss_of_checked(lift(z), X, y),
                         lambda z, X, y: pull(z, model.gradient(lift(z), X, y)),
                         batches=batches)

    def loss(self, z, judge) -> float:
        return self.model.loss_of_checked(self.lift(z), *self.judges[judge])


@functools.cache
def problem(task: str, space: str, dtype=np.float32) -> Problem:
    """One of the tasks "away", "words", "signs" in one of the spaces "all", "lora", "prefix"."""
    symbols, shape = load_byte_pairs(), manifest("mini")["model"] | {"dtype": dtype}
    docs, p = load_documentation("matplotlib"), pretrained("mini")[1].astype(dtype)
    sides = [symbols.encode_texts(texts) for texts in (docs.train, docs.validation)]
    if task == "away":
        model = Transformer(**shape)
        data = [sequences(codes, LENGTH) for codes in sides]
    else:
        words, names = ([int(symbols.encode(word)[0]) for word in some]
                        for some in (WORDS, WORDS if task == "words" else SIGNS))
        model = Cloze(names, **shape)
        data = [questions(codes, words, names) for codes in sides]
    lift, pull, start = _all(p)
    if space == "prefix":
        unused = np.argsort(np.bincount(np.concatenate(sides), minlength=model.classes))[:PREFIX]
        data = [(np.hstack([np.tile(unused, (len(X), 1)), X]), y) for X, y in data]
        lift, pull, start = _prefix(model, p, unused)
    elif space == "lora":
        lift, pull, start = _lora(model, p)
    X, y = model.check_data(*data[0])
    X_held, y_held = model.check_data(*data[1])
    order, half = np.random.default_rng(0).permutation(len(y_held)), 64 if task == "away" else 256
    judges = {name: (X_held[rows], y_held[rows]) for name, rows in
              (("tuning", order[:half]), ("report", order[half:2 * half]))}
    return Problem(model, start, lift, pull, lambda seed: minibatches(
        X, y, BATCH[task], np.random.default_rng(seed)), judges)


def questions(codes, words, names):
    """The symbols before each of the words (n, QUESTION), and the word's name (n,): as many of
    each word, in the order of the text."""
    places = [np.flatnonzero(codes == word) for word in words]
    places = [at[at >= QUESTION] for at in places]
    fewest = min(map(len, places))
    at = np.sort(np.concatenate([place[:fewest] for place in places]))
    called = dict(zip(words, names, strict=True))
    return (codes[at[:, None] + np.arange(-QUESTION, 0)],
            np.array([called[int(code)] for code in codes[at]]))


def _all(p):
    return lambda z: z, lambda z, g: g, p


def _prefix(model, p, unused):
    """Prompt tuning (Lester et al. 2021): the embeddings of symbols that are put before the text
    and that the text does not use. They begin as those of the commonest symbols."""
    where = np.concatenate([np.arange(model.width) + model.width * row for row in unused])
    where += model.parts["E"].start

    def lift(z):
        q = p.copy()
        q[where] = z
        return q

    begin = p[model.parts["E"]].reshape(-1, model.width)[:PREFIX]
    return lift, lambda z, g: g[where], begin.ravel().copy()


def _lora(model, p):
    """LoRA (Hu et al. 2022): W + A B for the queries, keys and values, A random and B zero."""
    rng, pieces, end = np.random.default_rng(0), [], 0
    for name in (name for name in model.shapes if name.startswith("qkv")):
        m, n = model.shapes[name]
        pieces.append((model.parts[name], m, n, slice(end, end + m * RANK),
                       slice(end + m * RANK, end := end + (m + n) * RANK)))
    start = np.zeros(end, p.dtype)
    for _, m, _, a, _ in pieces:
        start[a] = rng.normal(size=m * RANK) / math.sqrt(m)

    def lift(z):
        q = p.copy()
        for part, m, n, a, b in pieces:
            q[part] += (z[a].reshape(m, RANK) @ z[b].reshape(RANK, n)).ravel()
        return q

    def pull(z, g):
        small = np.empty_like(z)
        for part, m, n, a, b in pieces:
            G = g[part].reshape(m, n)
            small[a] = (G @ z[b].reshape(RANK, n).T).ravel()
            small[b] = (z[a].reshape(m, RANK).T @ G).ravel()
        return small

    return lift, pull, start


# --- the prediction ----------------------------------------------------------------------------

def rank(task, space, judge, products=16):
    """The Hessian H of the loss at the start, in double precision, from products with it: L, the
    largest curvature of either sign, by power iteration, and tr H from random signs (Hutchinson
    1989), with its standard error. A list of each: for "report" of one loss, that of 6 batches;
    for "batch" of three, those of the batches that `curve` keeps to.
    """
    here = problem(task, space, np.float64)
    if judge == "batch":
        data = [next(here.batches([seed, 0])) for seed in range(1, SEEDS + 1)]
    else:
        data = [[np.concatenate(part) for part in
                 zip(*itertools.islice(here.batches(0), 6), strict=True)]]
    found = [curvature(here, X, y, products) for X, y in data]
    return {"size": here.start.size} | {key: [one[key] for one in found] for key in found[0]}


def curvature(here, X, y, products):
    rng, h = np.random.default_rng(0), 1e-4

    def gradient(z):
        return here.pull(z, here.model.gradient(here.lift(z), X, y))

    def hessian_times(u):
        return (gradient(here.start + h * u) - gradient(here.start - h * u)) / (2 * h)

    u = rng.normal(size=here.start.size)
    for _ in range(products):
        u = hessian_times(u / np.linalg.norm(u))
    signs = rng.choice([-1.0, 1.0], size=(products, u.size))
    traces = [s @ hessian_times(s) for s in signs]
    return {"L": np.linalg.norm(u), "trace": np.mean(traces),
            "error": np.std(traces, ddof=1) / math.sqrt(products)}


# --- the variants of MeZO: each is its three lines ----------------------------------------------

def one_sided(f, x, rng, *, lr, eps=1e-3, members=8):
    """FZOO (Dang et al. 2026): one loss here, one for each of some random signs; the step is in
    units of the losses' spread."""
    while True:
        Z = rng.choice(np.array([-1, 1], x.dtype), size=(members, x.size))
        here, there = f(x), f(x + eps * Z)
        x = x - lr / (members * there.std()) * ((there - here).astype(x.dtype) @ Z)
        yield x


def sparse(f, x, rng, *, lr, eps=1e-3, share=0.25):
    """Sparse MeZO (Liu et al. 2024): only the small weights move; here the smallest quarter."""
    small = np.abs(x) <= np.quantile(np.abs(x), share)
    while True:
        z = small * rng.standard_normal(x.size, dtype=x.dtype)
        x = x - lr * (f(x + eps * z) - f(x - eps * z)) / (2 * eps) * z
        yield x


def low_rank(f, x, rng, *, lr, shapes, eps=1e-3, rank=2, refresh=50):
    """LoZO (Chen et al. 2025): the noise of a matrix is U Vᵀ, and V stays for some steps.
    (SubZero, Yu et al. 2024, is alike, with two bases and a small matrix between.)"""
    for step in range(10**9):
        if step % refresh == 0:
            V = {name: rng.standard_normal((rank, shape[-1])) for name, shape in shapes.items()}
        z = np.concatenate([
            (rng.standard_normal((s[0], rank)) @ V[name] / math.sqrt(rank)).ravel()
            if len(s) == 2 else rng.standard_normal(s[0]) for name, s in shapes.items()])
        z = z.astype(x.dtype)
        x = x - lr * (f(x + eps * z) - f(x - eps * z)) / (2 * eps) * z
        yield x


def diagonal(f, x, rng, *, lr, eps=1e-3, alpha=1e-6):
    """HiZOO (Zhao et al. 2025): a third loss tells the curvature along z; its running mean for
    each weight, h, divides."""
    h = np.ones_like(x)
    while True:
        z = rng.standard_normal(x.size, dtype=x.dtype) / np.sqrt(h)
        plus, here, minus = f(x + eps * z), f(x), f(x - eps * z)
        h = (1 - alpha) * h + alpha * abs(plus + minus - 2 * here) / (2 * eps**2) * (h * z) ** 2
        x = x - lr * (plus - minus) / (2 * eps) * z
        yield x


METHODS = {  # and what a step costs, in forward-equivalents
    "MeZO": (mezo, 2), "Adam": (adam, 3), "gradient descent": (gradient_descent, 3),
    "one-sided": (one_sided, 9), "sparse": (sparse, 2), "low rank": (low_rank, 2),
    "diagonal": (diagonal, 3)}
WITH_GRADIENT = "Adam", "gradient descent"


# --- a run, and what it costs --------------------------------------------------------------------

def curve(here, name, seed, budget, judge, lr, **hyper):
    """Costs (n,) and losses (n,) of one run, the start first.

    ``judge`` is "tuning" or "report", whose loss is held out, with a fresh batch for each step; or
    "batch": then all steps see one batch, of this seed, and the loss is that of this batch.
    """
    method, price = METHODS[name]
    batches = here.batches([seed, 0])
    if judge == "batch":
        one = next(batches)
        batches, here = itertools.repeat(one), replace(here, judges={"batch": one})
    f = here.objective(batches)
    if name == "low rank":
        hyper["shapes"] = here.model.shapes
    rng = () if name in WITH_GRADIENT else (np.random.default_rng([seed, 1]),)
    points, z = method(f, here.start, *rng, lr=lr, **hyper), here.start
    costs, losses, ratio = [0], [here.loss(z, judge)], 1.1 if name in WITH_GRADIENT else 1.4
    for step in range(1, budget // price + 1):
        f.next_batch()
        z = next(points)
        if not np.isfinite(z).all():
            break
        if step * price >= ratio * costs[-1] or step == budget // price:
            costs.append(step * price)
            losses.append(here.loss(z, judge))
    return np.array(costs), np.array(losses)


def chosen(here, names, rates, score, budget, judge) -> dict:
    """Each of the names tuned on seed 0, with as many trials."""
    def loss(name, lr):
        found = curve(here, name, 0, budget, judge, lr)
        return Scored(score(found), found[0][-1])
    return tune(loss, {name: {"lr": rates[name]} for name in names}, trials=TRIALS)


def prices(task, space, judge):
    """What MeZO reaches for its budget, and what that costs the two that have a gradient.

    MeZO's rate is chosen for its loss at the end; each rival's for the earliest pass at which it
    is as low. Both on seed 0; the other seeds are reported, on other held-out text.
    """
    here, tuning = problem(task, space), "batch" if judge == "batch" else "tuning"
    tuned = chosen(here, ["MeZO"], RATES[space], lambda found: found[1][-1], BUDGET, tuning)
    level = tuned["MeZO"].best.loss
    tuned |= chosen(here, WITH_GRADIENT, RATES[space],
                    lambda found: reach([found], level).costs, CAP, tuning)
    results, levels = {}, []
    for name, found in tuned.items():
        runs = [curve(here, name, seed, BUDGET if name == "MeZO" else CAP, judge,
                      **found.settings) for seed in range(1, SEEDS + 1)]
        levels = levels or [losses[-1] for _, losses in runs]
        results[name] = summary(found, runs) | {"costs": [
            reach([run], level).costs[0] for run, level in zip(runs, levels, strict=True)]}
    return results


def variant(name):
    """One of the variants on the label words, all parameters, tuned and run like MeZO there."""
    here = problem("words", "all")
    found = chosen(here, [name], RATES["variant"], lambda found: found[1][-1], BUDGET,
                   "tuning")[name]
    return summary(found, [curve(here, name, seed, BUDGET, "report", **found.settings)
                           for seed in range(1, SEEDS + 1)])


def summary(found, runs):
    return {"rate": found.settings["lr"], "good": found.good("lr"), "tuning": found.cost,
            "marks": runs[0][0], "losses": [losses for _, losses in runs]}


TASKS = [("away", "all"), ("words", "all"), ("words", "prefix"), ("words", "lora"),
         ("signs", "all")]
SETTINGS = [{"job": job, "task": task, "space": space, "judge": judge}
            for job in ("rank", "prices") for judge, some in (("report", TASKS),
                                                              ("batch", TASKS[:2]))
            for task, space in some]
SETTINGS += [{"job": "variant", "name": name} for name in RATES["variant"]]
CHECK = 5
JOBS = {"rank": rank, "prices": prices, "variant": variant}


def run(job, **setting):
    return JOBS[job](**setting)
