"""The recorded runs are those of their scripts, and a script still gives what is recorded."""

import math
import types

import numpy as np
import pytest

from zglearn import runs
from zglearn.models import MLP
from zglearn.models.training import METHODS
from zglearn.runs import experiment, experiments, halving, made, race, recipe, record, recorded


@pytest.mark.parametrize("name", experiments())
def test_every_setting_is_recorded_and_no_other(name):
    module = experiment(name)
    names = {key for setting in module.SETTINGS for key in setting}
    found = [{key: run[key] for key in run if key in names} for run in recorded(name)]
    assert found == module.SETTINGS


@pytest.mark.parametrize("name", experiments())
def test_a_script_gives_what_is_recorded(name):
    module = experiment(name)
    now, then = made(module, module.SETTINGS[module.CHECK]), recorded(name)[module.CHECK]
    assert_alike(now, then, getattr(module, "TOLERANCE", 0.02), name)


def assert_alike(now, then, tolerance, where):
    """Equal but for the rounding of another processor; seconds may be any."""
    if isinstance(then, dict):
        assert now.keys() == then.keys(), where
        for key in then.keys() - {"seconds"}:
            assert_alike(now[key], then[key], tolerance, f"{where}.{key}")
    elif isinstance(then, list):
        assert len(now) == len(then), where
        for i, pair in enumerate(zip(now, then, strict=True)):
            assert_alike(*pair, tolerance, f"{where}[{i}]")
    elif isinstance(then, float) and isinstance(now, (int, float)):
        assert math.isclose(now, then, rel_tol=tolerance, abs_tol=tolerance), (where, now, then)
    else:
        assert now == then, where


def test_an_interrupted_recording_goes_on(tmp_path, monkeypatch):
    asked = []

    def run(seed):
        asked.append(seed)
        if seed == 2 and asked.count(2) == 1:
            raise KeyboardInterrupt
        return {"loss": 1 / (seed + 2)}

    module = types.SimpleNamespace(SETTINGS=[{"seed": seed} for seed in range(4)], run=run)
    monkeypatch.setattr(runs, "FOLDER", tmp_path)
    monkeypatch.setattr(runs, "experiments", lambda: ["short"])
    monkeypatch.setattr(runs, "experiment", lambda name: module)
    with pytest.raises(KeyboardInterrupt):
        record("short")
    assert record("short") == 2
    assert asked == [0, 1, 2, 2, 3]
    assert [run["loss"] for run in recorded("short")] == [0.5, 0.33333, 0.25, 0.2]


def test_an_unknown_experiment_is_told_which_there_are(monkeypatch):
    monkeypatch.setattr(runs, "experiments", lambda: ["recipe", "race"])
    with pytest.raises(ValueError, match="recipe, race"):
        recorded("recipes")


def test_halving_trains_on_only_what_is_left_and_puts_what_diverged_last():
    losses = np.tile(np.arange(halving.COUNT, dtype=float)[:, None], len(halving.RUNGS))
    losses[0] = np.nan
    chosen, trained = halving.search(losses, [(27, 10), (9, 30), (3, 90), (1, 270)])
    assert chosen == 1 and trained[0] == 10 and sum(trained.values()) == 3 * 270
    assert [number for number, steps in trained.items() if steps >= 90] == [1, 2, 3]


def test_no_text_is_met_twice_where_the_loss_met_counts_as_held_out():
    assert halving.RUNGS[-1] * recipe.BATCH <= len(recipe.data()[1][1])


class Counted(np.ndarray):
    """Counts the multiplications of its products with matrices."""

    multiplied = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **how):
        if ufunc is np.matmul:
            Counted.multiplied += inputs[0].size * inputs[1].shape[1]
        plain = [np.asarray(x) if isinstance(x, Counted) else x for x in inputs]
        if out is not None:
            how["out"] = tuple(map(np.asarray, out))
        result = getattr(ufunc, method)(*plain, **how)
        return out[0] if out is not None else np.asarray(result).view(Counted)


@pytest.mark.parametrize("method, factorizations", [("muon", 0), ("shampoo", 5.5),
                                                    ("soap", 4 / 3 + 1)])
def test_the_race_charges_what_a_step_multiplies(method, factorizations):
    m, n = 5, 7
    rng = np.random.default_rng(0)
    f = types.SimpleNamespace(lr=0.01, shapes={"W": (m, n)}, memory={},
                              gradient=lambda: rng.normal(size=m * n).view(Counted))
    hyper = {} if method == "muon" else {"refresh": race.REFRESH}
    update = METHODS[method](f, rng.normal(size=m * n).view(Counted), **hyper)
    next(update)  # its roots or axes, which are charged apart
    Counted.multiplied = 0
    for _ in range(8):
        next(update)
    apart = factorizations * (m**3 + n**3) / race.REFRESH
    assert race.multiplications(method, m, n) - apart == pytest.approx(Counted.multiplied / 8)


def test_a_step_is_charged_in_forward_passes_of_its_batch():
    model = MLP([6, 5, 3])
    assert race.step_cost(model, "Adam", 2) == 3
    forward = 2 * (6 * 5 + 5 * 3)
    assert race.hidden(model) == ["W1"]
    assert race.step_cost(model, "Muon", 2) == 3 + race.multiplications("muon", 6, 5) / forward
    assert race.step_cost(model, "Muon", 2, along=("W1", "W2")) == pytest.approx(
        3 + (race.multiplications("muon", 6, 5) + race.multiplications("muon", 5, 3)) / forward)
