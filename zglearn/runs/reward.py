"""Chapter 16: evolution strategies against GRPO, on a reward that Python's own parser gives.

The model continues lines of code that stop behind the bracket of a call, `>>> np.zeros(`, as they
stand in the documentation. It earns 1 or 0 for each. Both methods generate as many symbols.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections import Counter

import numpy as np

from ..data import load_byte_pairs, load_documentation
from ..data.tokenization import END
from ..experiments import geometric, tune
from ..models import pretrained, sequences
from ..models.policy import advantages, grpo_weights, log_probabilities
from ..models.training import adam_step

PROMPT, LENGTH = 24, 16  # symbols
CALL = re.compile(r">>> ([^\n(]*\w\()(?=[^\n])")
SYMBOLS = load_byte_pairs()
ENDS = [i for i, piece in enumerate(SYMBOLS.pieces) if "\n" in piece or "\f" in piece]


def prompts(texts) -> np.ndarray:
    """The symbols before each bracket that opens a call, (prompts, PROMPT); each once."""
    found = {}
    for text in texts:
        for match in CALL.finditer(text):
            if parsed(match[1] + ")"):
                codes = SYMBOLS.encode(text[max(0, match.end() - 150):match.end()])[-PROMPT:]
                if len(codes) == PROMPT and match[0] in SYMBOLS.decode(codes):
                    found[codes.tobytes()] = codes
    return np.array(list(found.values()))


def parsed(line: str):
    """The line's syntax tree, or None if Python's parser refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(line)
        except (SyntaxError, ValueError):
            return None


def line(prompt, answer) -> tuple[str, str, bool]:
    """What stands before the model's part, its part, and whether it ended the line."""
    before = SYMBOLS.decode(prompt).rsplit(">>> ", 1)[1]
    written, *rest = re.split("[\n\f]", SYMBOLS.decode(answer), maxsplit=1)
    return before, written, bool(rest)


def accepted(prompt, answer) -> bool:
    """The first reward: the line is ended, and the parser accepts it."""
    before, written, ended = line(prompt, answer)
    return ended and parsed(before + written) is not None


def two_arguments(prompt, answer) -> bool:
    """The mended reward: in addition, the call has two different arguments or more."""
    before, written, ended = line(prompt, answer)
    tree = parsed(before + written) if ended else None
    return any(isinstance(node, ast.Call) and node.func.end_col_offset == len(before) - 1
               and len({ast.dump(a) for a in [*node.args, *(k.value for k in node.keywords)]}) > 1
               for node in ast.walk(tree or ast.Module([])))


REWARDS = {"accepted": accepted, "two arguments": two_arguments}


def rewards(reward, Q, answers) -> np.ndarray:
    """What each answer earns, 1 or 0, by the reward of this name."""
    return np.array([float(REWARDS[reward](q, a)) for q, a in zip(Q, answers, strict=True)])


# --- the two methods -------------------------------------------------------------------------

MEMBERS, ASKED = 30, 8  # of an ES generation, and the prompts that each of them answers
GROUPS, TEXTS = 8, 8  # of a step of GRPO: prompts, and texts after each


def drawn(Q, n, rng):
    return Q[rng.integers(len(Q), size=n)]


def evolution(model, p0, Q, reward, rng, *, lr, sigma, prompts=ASKED, beta=0.0, anchor=0.0):
    """ES on all parameters: yields p and the number of texts written so far.

    As Qiu et al. (2025), with rewards in standard deviations of their mean, 30 members and a plain
    step; unlike them with antithetic pairs, and sampled texts with the same luck for all members.
    beta subtracts a multiple of the divergence from the start from each member's reward, anchor
    draws p towards the start in every step (Schweighofer et al. 2026).
    """
    p = p0.copy()
    for generation in itertools.count(1):
        asked, luck = drawn(Q, prompts, rng), rng.integers(2**32)
        Z = rng.standard_normal((MEMBERS // 2, p.size), dtype=p.dtype)
        earned = []
        for z in Z:
            for side in (sigma, -sigma):
                member = p + side * z
                answers = model.generate(member, luck, asked, LENGTH)
                fitness = reward(asked, answers).mean()
                if beta:
                    fitness -= beta * divergence(model, member, p0, asked, answers)
                earned.append(fitness)
        scores = advantages(earned)
        p += lr / MEMBERS * ((scores[::2] - scores[1::2]).astype(p.dtype) @ Z) - anchor * (p - p0)
        yield p, generation * MEMBERS * prompts


def grpo(model, p0, Q, reward, rng, *, lr, clip=0.2, beta=0.04, updates=2):
    """GRPO with Adam, several updates for each batch of texts: yields as `evolution` does."""
    p, (m, v), step = p0.copy(), np.zeros((2, p0.size), p0.dtype), 0
    for batch in itertools.count(1):
        asked = np.repeat(drawn(Q, GROUPS, rng), TEXTS, axis=0)
        answers = model.generate(p, rng, asked, LENGTH)
        A = advantages(reward(asked, answers).reshape(GROUPS, TEXTS)).ravel()
        X, y, counts = whole(asked, answers)
        old, start = (log_probabilities(model, q, X, y) for q in (p, p0))
        for i in range(updates):
            new = log_probabilities(model, p, X, y) if i else old
            w = grpo_weights(new, old, start, A, counts, clip=clip, beta=beta)
            step += 1
            adam_step(p, model.weighted_gradient(p, X, y, w)[1], m, v, step, lr)
        yield p, batch * GROUPS * TEXTS


def whole(asked, answers):
    """Prompts and answers as X and y, and which symbols of y the model wrote: those up to the end
    of the line."""
    text = np.concatenate([asked, answers], axis=1).astype(int)
    ends = np.isin(answers, ENDS)
    counts = np.zeros(text[:, 1:].shape, dtype=bool)
    counts[:, -LENGTH:] = np.cumsum(ends, axis=1) - ends == 0
    return text[:, :-1], text[:, 1:], counts


def divergence(model, p, p0, asked, answers) -> float:
    """KL(p, p0) in nats per symbol, estimated as in `grpo_weights` on texts that p wrote."""
    X, y, counts = whole(asked, answers)
    log_s = log_probabilities(model, p0, X, y) - log_probabilities(model, p, X, y)
    return float(np.mean((np.exp(log_s) - log_s - 1)[counts]))


# --- the experiment --------------------------------------------------------------------------

BUDGET = 12_000  # texts of LENGTH symbols
MARKS = [750, 1500, 3000, 6000, BUDGET, 2 * BUDGET, 4 * BUDGET]
TRIALS = 12
KNOBS = {"ES": {"lr": geometric(0.0025, 0.01, 3), "sigma": geometric(0.003, 0.012, 3)},
         "GRPO": {"lr": geometric(3e-5, 3e-3, 5)}}
METHODS = {"ES": evolution, "GRPO": grpo}


class Experiment:
    """The model, prompts to learn from, to choose settings by and to report on, ordinary text."""

    def __init__(self):
        self.model, self.p0 = pretrained("mini")
        texts = load_documentation(without="matplotlib")
        half = len(texts.validation) // 2  # the docstrings are in the order of their files
        self.prompts = prompts(texts.train)
        rng = np.random.default_rng(0)
        self.to_choose, self.to_report = (rng.permutation(prompts(part))[:400] for part in (
            texts.validation[:half], texts.validation[half:]))
        ordinary = SYMBOLS.encode(END.join(texts.validation[half:half + 250]))
        self.ordinary = sequences(ordinary[:16_000], self.model.context)

    def trained(self, method, reward, seed, texts, **settings):
        """Yields p and the texts written so far at each mark up to ``texts``."""
        rng, luck = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        marks = [mark for mark in MARKS if mark <= texts]

        def earned(Q, answers):  # "luck" is the control: what happens if nothing is to be learnt
            return luck.random(len(Q)) if reward == "luck" else rewards(reward, Q, answers)

        steps = METHODS[method](self.model, self.p0, self.prompts, earned, rng, **settings)
        for p, written in steps:
            if written >= marks[0]:
                yield p, written
                marks = [mark for mark in marks if mark > written]
                if not marks:
                    return

    def judged(self, p, temperature=1.0) -> dict:
        """What p writes after the prompts to report on, and how far it has moved."""
        Q = self.to_report
        answers = self.model.generate(p, 0, Q, LENGTH, temperature)
        parts = [line(q, a)[1] for q, a in zip(Q, answers, strict=True)]
        (most, times), = Counter(parts).most_common(1)
        return {**{name: rewards(name, Q, answers).mean() for name in REWARDS},
                "divergence": divergence(self.model, p, self.p0, Q, answers),
                "nats": self.model.loss(p, *self.ordinary),
                "empty": float(np.mean([part.startswith(")") for part in parts])),
                "distinct": len(set(parts)) / len(parts),
                "most": most, "its share": times / len(parts),
                "moved": float(np.linalg.norm(p - self.p0))}

    def samples(self, p, n=6) -> list[str]:
        Q = self.to_report[:n]
        return ["".join(line(q, a)[:2]) for q, a in
                zip(Q, self.model.generate(p, 0, Q, LENGTH), strict=True)]


def run(job, method="ES", reward="two arguments", seed=0, texts=BUDGET, **changed):
    it = Experiment()
    if job == "start":
        return {"temperatures": {str(t): it.judged(it.p0, t) for t in (1.0, 0.5, 0.0)}}
    if job == "tune":
        return {"trials": tuned(it)}
    curve = []
    for p, written in it.trained(method, reward, seed, texts, **TUNED[method] | changed):
        curve.append({"texts": written} | it.judged(p))
    return {"curve": curve, "samples": it.samples(p)}


def tuned(it) -> dict:
    """For each method its trials, [settings, share of texts without reward], the best first."""
    def without_reward(method, **settings):
        *_, (p, _) = it.trained(method, "two arguments", 100, BUDGET, **settings)
        answers = it.model.generate(p, 0, it.to_choose, LENGTH)
        return 1 - rewards("two arguments", it.to_choose, answers).mean()

    found = tune(without_reward, KNOBS, trials=TRIALS)
    return {method: sorted([[t.settings, t.loss] for t in one.trials],
                           key=lambda trial: trial[0] != one.settings)
            for method, one in found.items()}


TUNED = {"ES": {"lr": 0.01, "sigma": 0.012}, "GRPO": {"lr": 0.00126509}}  # by the job "tune"
JOBS = [  # how many seeds, and what is asked of `run`
    (5, dict(job="race", method="ES")),
    (5, dict(job="race", method="GRPO")),
    (3, dict(job="first reward", method="ES", reward="accepted")),
    (3, dict(job="first reward", method="ES", reward="accepted", beta=0.4)),
    (3, dict(job="first reward", method="GRPO", reward="accepted", beta=0.0)),
    (3, dict(job="first reward", method="GRPO", reward="accepted")),
    (3, dict(job="first reward", method="GRPO", reward="accepted", beta=0.4)),
    (3, dict(job="longer", method="ES", texts=4 * BUDGET)),
    (3, dict(job="control", method="ES", reward="luck")),
    (3, dict(job="anchor", method="ES", anchor=0.02)),
    (3, dict(job="divergence", method="ES", beta=0.4)),
    (3, dict(job="divergence", method="GRPO", beta=0.0)),
    (3, dict(job="divergence", method="GRPO", beta=0.4)),
    (3, dict(job="gentle", method="GRPO", lr=1e-4)),
    (3, dict(job="no clipping", method="GRPO", clip=1e9)),
    (3, dict(job="one update", method="GRPO", updates=1)),
    (3, dict(job="prompts", method="ES", prompts=2)),
    (3, dict(job="prompts", method="ES", prompts=32)),
]
SETTINGS = [{"job": "start"}, {"job": "tune"},
            *(asked | {"seed": seed} for seeds, asked in JOBS for seed in range(seeds))]
CHECK = 0
