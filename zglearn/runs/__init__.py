"""Long runs, recorded: experiments of the chapters that take longer than a reader waits.

    runs = recorded("recipe")            # a list of dicts: each a setting and what came of it

A module here is one experiment. It has `SETTINGS`, a list of dicts of keyword arguments, and
`run`, which takes one of them and returns a dict of numbers, strings and lists of those;
`CHECK` is the place of the cheapest setting, which the tests run again. Its results lie beside
it, in a file of its name. `python -m zglearn.runs recipe` makes them anew.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
from pathlib import Path

import numpy as np

from ..progress_bar import progress_bar, somebody_watches

FOLDER = Path(__file__).parent


def experiments() -> list[str]:
    """The names of all experiments."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)])
                  if module.name != "__main__")


def experiment(name: str):
    """The module of an experiment. ValueError if there is none of this name."""
    if name not in experiments():
        raise ValueError(f"there is no experiment {name!r}: there are {', '.join(experiments())}")
    return importlib.import_module(f".{name}", __name__)


def recorded(name: str) -> list[dict]:
    """What the runs of an experiment gave: for each, its setting's arguments and its results.

    Each also has "seconds", what it took on the machine that made it.
    """
    if name not in experiments():
        experiment(name)  # says which there are
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def record(name: str, anew: bool = False) -> int:
    """Make the runs that are not recorded yet, or all of them anew; returns how many were made.

    Each is saved when it is done, so that after an interruption the next call goes on.
    """
    module = experiment(name)
    done = {_key(run, module): run for run in ([] if anew else recorded(name))}
    wanted = [setting for setting in module.SETTINGS if _text(setting) not in done]
    with progress_bar(len(wanted), somebody_watches(), desc=name) as bar:
        for setting in wanted:
            done[_text(setting)] = made(module, setting)
            rows = [done[_text(s)] for s in module.SETTINGS if _text(s) in done]
            text = ",\n".join(json.dumps(row) for row in rows)
            unfinished = FOLDER / f"{name}.json.new"
            unfinished.write_text(f"[\n{text}\n]\n", encoding="utf-8")
            unfinished.replace(FOLDER / f"{name}.json")
            bar.update()
    return len(wanted)


def made(module, setting: dict) -> dict:
    """One run of an experiment, made now: its setting, its results and the seconds it took."""
    start = time.perf_counter()
    results = _plain(module.run(**setting))
    return setting | results | {"seconds": round(time.perf_counter() - start, 1)}


def _key(run, module):
    """The setting that a recorded run had, as text."""
    names = {name for setting in module.SETTINGS for name in setting}
    return _text({name: value for name, value in run.items() if name in names})


def _text(setting):
    return json.dumps(setting, sort_keys=True)


def _plain(value):
    """What JSON can hold: five significant digits of each number."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
