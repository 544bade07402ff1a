"""Shared seeds: several processes, nothing but losses between them, the same point in each."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config

from zglearn import shared_seeds
from zglearn.landscapes import bowl
from zglearn.shared_seeds import Replica, train

CHAPTER = Path(__file__).parents[1] / "chapters/15_evolution_strategies.ipynb"
SETTINGS = dict(population=12, sigma=0.1, lr=0.3)


def problem():
    return bowl(5).f, np.ones(5, dtype=np.float32)


def alone(generations, problem=problem, **settings):
    """The same strategy in one process, without any messages."""
    replica = Replica(problem, **settings)
    for _ in range(generations):
        replica.tell(replica.ask(slice(None)))
    return replica.x


@pytest.fixture(autouse=True)
def forget():
    shared_seeds._replicas.clear()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_shares_changes_nothing(workers):
    x, _ = train(problem, generations=8, workers=workers, seed=1, **SETTINGS)
    np.testing.assert_array_equal(x, alone(8, seed=1, **SETTINGS))
    assert bowl(5).f(x) < 0.5 * bowl(5).f(np.ones(5)), "it went down"


def test_two_processes_reach_the_same_point_as_one():
    with parallel_config(backend="loky", n_jobs=2):
        x, traffic = train(problem, generations=8, workers=2, seed=1, **SETTINGS)
    np.testing.assert_array_equal(x, alone(8, seed=1, **SETTINGS))
    assert traffic.pids and os.getpid() not in traffic.pids
    assert traffic.losses == 8 * 12 * 4 * 3


def test_a_cluster_reaches_the_same_point():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None,
                            host="127.0.0.1"), parallel_config(backend="dask"):
        x, traffic = train(problem, generations=8, workers=2, seed=1, **SETTINGS)
    np.testing.assert_array_equal(x, alone(8, seed=1, **SETTINGS))
    assert traffic.pids and os.getpid() not in traffic.pids


def test_a_worker_that_missed_generations_catches_up():
    """One process forgets everything in the middle of a run; the log of losses is enough."""
    settings, log, replica = dict(seed=3, **SETTINGS), [], Replica(problem, seed=3, **SETTINGS)
    for _ in range(5):
        log.append(replica.ask(slice(None)))
        replica.tell(log[-1])
    want = replica.ask(slice(0, 4))
    assert shared_seeds._work("run", 5, slice(0, 4), log[-1:])[0] is None
    begin = problem, settings.pop("seed"), settings
    part, _ = shared_seeds._work("run", 5, slice(0, 4), log, begin)
    np.testing.assert_array_equal(part, want)
    again, _ = shared_seeds._work("run", 5, slice(0, 4), log[-1:])
    np.testing.assert_array_equal(again, want)
    assert shared_seeds._work("run", 7, slice(0, 4), log[-1:])[0] is None, "two are missing"


def test_messages_do_not_grow_with_the_parameters():
    def wide():
        return bowl(20_000).f, np.ones(20_000, dtype=np.float32)

    small = train(problem, generations=4, workers=2, seed=0, **SETTINGS)[1]
    large = train(wide, generations=4, workers=2, seed=0, **SETTINGS)[1]
    assert large.messages == small.messages < 4 * 20_000


def test_what_the_problem_raises_passes_through():
    def broken():
        return lambda P: 1 / 0, np.ones(3)

    with pytest.raises(ZeroDivisionError):
        train(broken, generations=2, workers=2, seed=0, **SETTINGS)


def test_a_loss_that_is_nan_is_no_rank():
    with pytest.raises(ValueError, match="the loss is nan"):
        train(lambda: (lambda P: np.full(len(P), np.nan), np.ones(3)), generations=2, workers=1,
              seed=0)


@pytest.mark.parametrize(("wrong", "message"), [
    (dict(generations=0), "at least 1"), (dict(workers=0), "at least 1"),
    (dict(population=5), "even"), (dict(population=0), "at least 1"),
    (dict(population=-2), "at least 1"),
    (dict(population=4.0), "whole"), (dict(population=True), "population"),
    (dict(sigma=0), "sigma must be above 0"), (dict(lr=np.nan), "lr must be"),
    (dict(generations=1.5), "whole"), (dict(workers="2"), "workers must be")])
def test_settings_that_cannot_be_used_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        train(problem, **{**dict(generations=2, workers=2, seed=0), **SETTINGS, **wrong})


@pytest.mark.parametrize("installed", [True, False])
def test_the_chapter_prints_the_same_with_and_without_a_cluster(installed, monkeypatch, capsys):
    """Its cells, run with `distributed` and without it, print what stands in the notebook."""
    if installed:
        pytest.importorskip("distributed")
    else:
        monkeypatch.setitem(sys.modules, "distributed", None)
    cells = {c["id"]: c for c in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]}
    names = {"__name__": "chapter_15"}
    for id in ("setup", "problem", "cluster"):
        exec("".join(cells[id]["source"]), names)
        stored = "".join(line for output in cells[id]["outputs"] for line in output["text"])
        assert capsys.readouterr().out == stored
    assert names["backend"] == ("dask" if installed else "loky")
    assert os.getpid() not in names["traffic"].pids
