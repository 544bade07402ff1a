"""Language models to start from: transformers that are shipped with the course, and smaller models
that are trained on the course's sentences once and then kept."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..progress_bar import somebody_watches
from .language_model import LanguageModel, contexts
from .training import train
from .transformer import Transformer

WEIGHTS = Path(__file__).with_name("weights")  # of the transformers, with a manifest each
SHIPPED = ("mini", "main")
VERSION = 1  # raise it when the recipe changes: it is part of the file's name
MODELS = {
    "tiny": (dict(context=8, embedding=12, hidden=64), dict(steps=25_000, batch_size=256, lr=0.01)),
    "small": (dict(context=12, embedding=16, hidden=128, residual=2),
              dict(steps=12_000, batch_size=512, lr=0.008)),
}


def pretrained(name: str = "tiny", *, without: str | None = "matplotlib",
               progress: bool | None = None):
    """A language model and its parameters (model, p).

    "mini" and "main" are transformers over the symbols of `load_byte_pairs`, trained by
    `zglearn.models.shipping` on the documentation of all libraries but matplotlib. Their weights
    are part of the course: every machine reads the same bits.

    "tiny" (8,672 parameters) and "small" (62,368) are models over `ALPHABET`, trained by Adam on
    the course's sentences. With the locked versions of the libraries they are part of the course,
    too; on another text they are trained in a minute or two, on the first call, and then read
    from the cache folder.

    Parameters
    ----------
    name : "mini", "main", "tiny" or "small"
    without : str or None
        The library whose sentences "tiny" or "small" never sees, so that they can serve as another
        domain.
    progress : bool, optional
        Show a bar while training. If not given: where somebody watches, see `progress_bar`.

    Raises
    ------
    ValueError
        For another name.
    KeyboardInterrupt
        If it is interrupted while it trains: half a model is not kept.
    """
    if name in SHIPPED:
        return _shipped(name)
    from ..data import ALPHABET, cache_folder, encode, load_sentences

    if name not in MODELS:
        raise ValueError(f"the pretrained models are {', '.join([*MODELS, *SHIPPED])}, not "
                         f"{name!r}")
    shape, recipe = MODELS[name]
    model = LanguageModel(len(ALPHABET), **shape)
    codes = encode(load_sentences(without=without).train)
    digest = hashlib.sha256(repr((VERSION, MODELS[name])).encode() + codes.tobytes()).hexdigest()
    file = f"language-model-{name}-{digest[:12]}.npy"
    if (WEIGHTS / file).exists():  # this recipe on this text: shipped, so that nobody waits
        return model, np.load(WEIGHTS / file)
    path = cache_folder() / file
    try:
        p = np.load(path)
        if p.shape == (model.size,) and p.dtype == model.dtype:
            return model, p
        print(f"{path} does not hold the model {name}: training it again.", file=sys.stderr)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as problem:
        print(f"{path} cannot be read ({problem}): training it again.", file=sys.stderr)

    progress = somebody_watches() if progress is None else progress
    fit = train(model, "adam", contexts(codes, model.context), beta2=0.99,
                schedule=_warm_up_then_cosine, progress=progress, **recipe)
    if fit.stopped == "interrupted":
        raise KeyboardInterrupt
    try:
        _save(path, fit.p)
    except OSError as problem:
        print(f"The model could not be kept in {path.parent} ({problem}), so it is trained anew "
              "each time. Set ZGLEARN_CACHE to a folder that can be written to.", file=sys.stderr)
    return model, fit.p


def manifest(name: str) -> dict:
    """What a shipped model is: its recipe, text, curve, licences and held-out losses."""
    return json.loads((WEIGHTS / f"{name}.json").read_text("utf-8"))


def _shipped(name):
    model = Transformer(**manifest(name)["model"])
    return model, np.load(WEIGHTS / f"{name}.npy").astype(model.dtype)


def _warm_up_then_cosine(done: float) -> float:
    return min(1.0, done / 0.02) * (1 + math.cos(math.pi * done)) / 2


def _save(path, p) -> None:
    """Under another name first, so that there is a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, p)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
