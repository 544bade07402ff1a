"""Language models that are trained on the course's sentences once, and then kept."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
from contextlib import suppress

import numpy as np

from ..progress_bar import somebody_watches
from .language_model import LanguageModel, contexts
from .training import train

VERSION = 1  # raise it when the recipe changes: it is part of the file's name
MODELS = {
    "tiny": (dict(context=8, embedding=12, hidden=64), dict(steps=25_000, batch_size=256, lr=0.01)),
    "small": (dict(context=12, embedding=16, hidden=128, residual=2),
              dict(steps=12_000, batch_size=512, lr=0.008)),
}


def pretrained(name: str = "tiny", *, without: str | None = "matplotlib",
               progress: bool | None = None):
    """A language model and its parameters (model, p), trained by Adam on the course's sentences.

    Trained in less than a minute on the first call, then read from the cache folder. The same
    versions of the libraries on the same processor give the same p.

    Parameters
    ----------
    name : "tiny" (8,672 parameters) or "small" (62,368)
    without : str or None
        The library whose sentences it never sees, so that they can serve as another domain.
    progress : bool, optional
        Show a bar while training. If not given: where somebody watches, see `progress_bar`.

    Raises
    ------
    ValueError
        For another name.
    KeyboardInterrupt
        If it is interrupted while it trains: half a model is not kept.
    """
    from ..data import ALPHABET, cache_folder, encode, load_sentences

    if name not in MODELS:
        raise ValueError(f"the pretrained models are {', '.join(MODELS)}, not {name!r}")
    shape, recipe = MODELS[name]
    model = LanguageModel(len(ALPHABET), **shape)
    codes = encode(load_sentences(without=without).train)
    digest = hashlib.sha256(repr((VERSION, MODELS[name])).encode() + codes.tobytes()).hexdigest()
    path = cache_folder() / f"language-model-{name}-{digest[:12]}.npy"
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
