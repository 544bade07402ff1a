"""How the shipped transformers are made, which nobody has to do again:

    python -m zglearn.models.shipping main

trains for hours, from the documentation of the installed libraries, and writes the weights and
their manifest. Ctrl-C ends it, and the same command goes on from the last checkpoint: what a step
does follows from its number alone, so that the bits at the end are those of a training in one go.

The recipe is AdamW (Loshchilov and Hutter 2019) with a warm-up, a plateau at a constant rate and a
linear decay to zero over the last part (Hägele et al. 2024). A plateau can be made longer
afterwards: the checkpoint at its end is kept, and a recipe with more steps goes on from there.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import lzma
import math
import os
import platform
import re
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ..data import cache_folder, load_byte_pairs, load_documentation
from ..data.docstrings import library_versions
from ..data.tokenization import END
from ..progress_bar import progress_bar
from ..trajectory import interrupts
from .pretraining import WEIGHTS
from .training import adam_step
from .transformer import Transformer, sequences

LICENCES = {"numpy": "BSD 3-Clause", "scipy": "BSD 3-Clause", "scikit-learn": "BSD 3-Clause"}
AWAY = "matplotlib"  # the library whose documentation the models never see
SYMBOLS = 512
EVALUATED = 30_000  # symbols of the held-out text on which the curve is measured
CHECKED = 30_000    # and on which a test measures the shipped loss again
MARGIN = 1e-3  # nats per symbol, by which that may differ from machine to machine


@dataclass(frozen=True)
class Recipe:
    """A model's shape, and its training; ``warm_up`` and ``decay`` are shares of the steps."""

    shape: dict
    steps: int
    lr: float
    sequences: int = 16  # in a batch
    warm_up: int = 200  # steps
    decay: float = 0.4  # the share of the steps in which the rate falls
    beta2: float = 0.99
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0

    @property
    def plateau(self) -> int:
        """The last step at the full rate."""
        return self.steps - round(self.decay * self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        falling = (self.steps - step) / (self.steps - self.plateau)
        return self.lr * min(1.0, step / self.warm_up, falling)


RECIPES = {
    "mini": Recipe(dict(context=64, width=48, heads=3, layers=2), steps=40_000, lr=4e-3),
    "main": Recipe(dict(context=128, width=128, heads=4, layers=3), steps=60_000, lr=2.5e-3,
                   sequences=8),
}


# --- the training ----------------------------------------------------------------------------

@dataclass
class State:
    """All that a training has to remember from one step to the next."""

    p: np.ndarray
    m: np.ndarray
    v: np.ndarray
    step: int = 0
    losses: list = field(default_factory=list)  # of the batches since the last line of the curve
    curve: list = field(default_factory=list)   # [step, training loss, validation loss]

    def save(self, path) -> None:
        """Under another name first, so that there is a whole file or none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            np.savez(file, **asdict(self))
        os.replace(part, path)

    @classmethod
    def load(cls, path) -> State:
        with np.load(path) as file:
            return cls(file["p"], file["m"], file["v"], int(file["step"]),
                       file["losses"].tolist(), file["curve"].tolist())


def pretrain(recipe, codes, validation, folder, *, every=500, seconds=60.0, progress=False):
    """The model and its state after ``recipe.steps`` steps; the state is None if the training was
    interrupted.

    codes and validation are the symbols of two texts. Every so many seconds a checkpoint is kept
    in the folder, and a training that finds one of its own there goes on from it. Every so many
    steps a line is added to the curve, in nats per symbol.
    """
    model = Transformer(SYMBOLS, **recipe.shape)
    held_out = model.check_data(*sequences(validation, model.context))
    pieces = np.lib.stride_tricks.sliding_window_view(codes, model.context + 1)
    on_plateau, in_decay = checkpoints(recipe, codes, Path(folder))
    state = _last(recipe, on_plateau, in_decay) or _start(model, recipe)
    g = np.empty_like(state.p)
    layers, slopes = model.layers(state.p), model.layers(g)
    saved = time.monotonic()
    with interrupts() as asked, progress_bar(recipe.steps, progress, initial=state.step) as bar:
        while state.step < recipe.steps and not asked:
            state.step += 1
            rng = np.random.default_rng([recipe.seed, state.step])
            batch = pieces[rng.integers(len(pieces), size=recipe.sequences)].astype(np.intp)
            state.losses.append(model.backprop(layers, slopes, batch[:, :-1], batch[:, 1:]))
            length = float(np.linalg.norm(g))
            if not math.isfinite(length):
                raise FloatingPointError(f"the gradient is not finite in step {state.step}: choose "
                                         "a smaller lr")
            if length > recipe.clip:
                g *= recipe.clip / length
            adam_step(state.p, g, state.m, state.v, state.step, recipe.rate(state.step),
                      beta2=recipe.beta2, weight_decay=recipe.weight_decay, decoupled=True)
            bar.update()
            if state.step % every == 0 or state.step == recipe.steps:
                state.curve.append([state.step, float(np.mean(state.losses)),
                                    float(model.loss_of_checked(state.p, *held_out))])
                state.losses.clear()
                bar.set_postfix_str("train {1:.3f}, validation {2:.3f}".format(*state.curve[-1]))
            if (asked or state.step in (recipe.plateau, recipe.steps)
                    or time.monotonic() - saved > seconds):
                state.save(on_plateau if state.step <= recipe.plateau else in_decay)
                saved = time.monotonic()
    return model, state if state.step == recipe.steps else None


def checkpoints(recipe, codes, folder) -> tuple[Path, Path]:
    """Where a training keeps its state: on the plateau, which recipes of every length share, and
    in the decay, which is this recipe's own."""
    same = {**asdict(recipe), "steps": None, "decay": None}
    digest = hashlib.sha256(repr(same).encode() + codes.tobytes()).hexdigest()[:12]
    return folder / f"{digest}.npz", folder / f"{digest}-{recipe.plateau}-{recipe.steps}.npz"


def _last(recipe, on_plateau, in_decay) -> State | None:
    if in_decay.exists():
        return State.load(in_decay)
    if on_plateau.exists() and (state := State.load(on_plateau)).step <= recipe.plateau:
        return state
    return None


def _start(model, recipe) -> State:
    p = model.init(recipe.seed)
    return State(p, np.zeros_like(p), np.zeros_like(p))


# --- what is shipped -------------------------------------------------------------------------

def ship(name, recipe, state, model, corpus, symbols, folder=WEIGHTS) -> dict:
    """Write the weights in half precision, and a manifest that says what they are."""
    weights = state.p.astype(np.float16)
    if not np.isfinite(weights).all():
        raise FloatingPointError("the weights are too large for float16")
    p = weights.astype(model.dtype)
    manifest = {
        "model": {"classes": model.classes, **recipe.shape},
        "command": f"python -m zglearn.models.shipping {name}",
        "recipe": asdict(recipe),
        "corpus": fingerprint(corpus["train"]) | {"without": AWAY, "libraries": library_versions(),
                                                  "licences": LICENCES},
        "symbols": fingerprint(json.dumps(symbols.merges)),
        "made with": {"python": platform.python_version(), "numpy": np.__version__},
        "held out": {},
        "margin": MARGIN,
        "curve": {"columns": ["step", "training, nats per symbol", "validation, nats per symbol"],
                  "rows": [[int(step), round(a, 4), round(b, 4)] for step, a, b in state.curve]},
        "weights": {"dtype": "float16", "sha256": hashlib.sha256(weights.tobytes()).hexdigest()},
    }
    for place in ("home", "away"):
        codes = symbols.encode(corpus[place])
        manifest["held out"][place] = fingerprint(corpus[place]) | {
            "check": check(model, p, codes),
            "nats per character": nats_per_character(model, p, codes, len(corpus[place])),
            "lzma, nats per character": lzma_nats(corpus["train"], corpus[place])}
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", weights)
    text = json.dumps(manifest, indent=1)
    text = re.sub(r"\[[^][]*\]", lambda row: " ".join(row[0].split()), text)  # a row on a line
    (folder / f"{name}.json").write_text(text + "\n", "utf-8")
    return manifest


def texts() -> dict[str, str]:
    """The text to train on, and the held-out text of its libraries (home) and of another (away);
    each docstring ends with `END`."""
    home, away = load_documentation(without=AWAY), load_documentation(AWAY)
    parts = {"train": home.train, "home": home.validation, "away": away.validation}
    return {name: "".join(text + END for text in part) for name, part in parts.items()}


def fingerprint(text: str) -> dict:
    return {"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def check(model, p, codes) -> float:
    """The loss on the beginning of a text, in nats per symbol: what a test can measure again."""
    return model.loss(p, *sequences(codes[:CHECKED], model.context))


def nats_per_character(model, p, codes, characters: int) -> float:
    """The loss on a text from one end to the other, where each symbol is foreseen from at least
    three quarters of a full context: the windows overlap, and the last quarter counts."""
    T, quarter = model.context, model.context // 4
    X, y = sequences(np.concatenate([np.zeros(T - quarter, codes.dtype), codes]), T, quarter)
    total = 0.0
    for i in range(0, len(X), 64):
        log_q = np.log(model.probabilities(p, X[i:i + 64])[:, -quarter:])
        right = np.take_along_axis(log_q, y[i:i + 64, -quarter:, None].astype(np.intp), axis=-1)
        total -= float(right.sum(dtype=float))
    counted = y[:, -quarter:].size
    return total / counted * len(codes) / characters


def lzma_nats(before: str, text: str) -> float:
    """What `lzma` needs for a text with another before it, in nats per character."""
    return (lzma_size(before + text) - lzma_size(before)) * 8 * math.log(2) / len(text)


@functools.lru_cache
def lzma_size(text: str) -> int:
    """Bytes, with a dictionary as long as the text."""
    best = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}
    return len(lzma.compress(text.encode(), format=lzma.FORMAT_RAW, filters=[best]))


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser("python -m zglearn.models.shipping",
                                     description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "training",
                        help="for the checkpoints (%(default)s)")
    asked = parser.parse_args(arguments)
    recipe = RECIPES[asked.name]
    if asked.steps:
        recipe = replace(recipe, steps=asked.steps)
    corpus, symbols = texts(), load_byte_pairs()
    codes, validation = (symbols.encode(corpus[part]) for part in ("train", "home"))
    model, state = pretrain(recipe, codes, validation[:EVALUATED], asked.folder, progress=True)
    if state is None:
        print("The same command goes on from here.", file=sys.stderr)
        return 130
    manifest = ship(asked.name, recipe, state, model, corpus, symbols)
    print(json.dumps(manifest["held out"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
