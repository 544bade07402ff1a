"""The benchmarks' harness: ratios, bars, peers that are missing. Nothing is timed here."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import _bench  # noqa: E402
from benchmarks.__main__ import NAMES, table_line  # noqa: E402


def test_a_row_is_a_ratio_of_medians_with_the_middle_half_of_the_rounds():
    row = _bench.row("name", ours=[1, 2, 3, 4, 100], peer=[2, 4, 6, 8, 10], bar=0.4)
    assert (row.ours, row.peer, row.ratio, row.bar) == (3, 6, 0.5, 0.4)
    assert row.low == 0.5 and row.high > 0.5


def test_contenders_take_turns_and_a_missing_one_is_named():
    turns = []
    seconds = _bench.race({"ours": lambda: turns.append("ours"), "peer": None,
                           "other": lambda: turns.append("other")}, rounds=7)
    assert [len(seconds[name]) for name in ("ours", "other")] == [7, 7]
    changes = sum(a != b for a, b in zip(turns, turns[1:], strict=False))
    assert changes == 1 + 2 * 7  # each is tried once first, then there are seven rounds of the two
    missing, other = _bench.rows("work", seconds)
    assert missing.name == "work, against peer" and math.isnan(missing.peer)
    assert other.ratio > 0
    assert _bench.installed("no_such_module") is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot do that")
def test_the_contenders_run_on_one_core():
    program = "import os; from benchmarks._bench import on_one_core; on_one_core(); " \
              "print(len(os.sched_getaffinity(0)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                            text=True, timeout=60)
    assert answer.stdout.strip() == "1"


@pytest.mark.parametrize("ratio, bar, verdict", [(0.3, 0.5, "reached"), (0.7, 0.5, "MISSED"),
                                                 (0.7, None, "")])
def test_a_line_of_the_table_says_whether_the_bar_is_reached(ratio, bar, verdict):
    line = table_line("work", ours=ratio, peer=1.0, ratio=ratio, bar=bar, low=0.2, high=0.9)
    assert line.endswith(verdict) and f"{ratio:.2f}" in line
    assert ("MISSED" in line) == (verdict == "MISSED")


def test_a_missing_peer_is_named_in_the_table():
    assert "not installed" in table_line("work", 1.0, math.nan, math.nan, None)


def test_the_command_lists_what_it_has():
    assert {"factorization", "mlp_training", "adam_step", "language_model"} <= set(NAMES)
    answer = subprocess.run([sys.executable, "-m", "benchmarks", "nonsense"], cwd=ROOT,
                            capture_output=True, text=True, timeout=60)
    assert answer.returncode and "no benchmark is called nonsense" in answer.stderr


def test_growth_marks_what_grows_faster_than_its_work(monkeypatch, capsys):
    took = iter([1.0, 2.0, 9.0])
    monkeypatch.setattr(_bench, "race", lambda contenders, rounds: {
        "ours": [next(took)] * 3, "peer": [2.0] * 3})
    _bench.table("work: size", "peer", [_bench.Size(size, work, lambda: bytes, lambda: bytes)
                                        for size, work in ((10, 1e3), (20, 2e3), (40, 4e3))])
    first, doubled, worse = capsys.readouterr().out.splitlines()[-3:]
    assert "WORSE" not in first + doubled and "WORSE" in worse
    assert worse.split()[1:4] == ["9", "4.5", "2.0"]  # seconds, times as long, times the work
    monkeypatch.setattr(_bench, "race", lambda *_, **__: {"ours": [1.0], "peer": [math.nan]})
    _bench.table("work: size", "peer", [_bench.Size(10, 1e3, lambda: bytes, lambda: None)])
    assert capsys.readouterr().out.endswith("not installed\n")


def test_the_peak_is_that_of_the_arrays_made():
    peak = _bench.peak(lambda: lambda: bytes(800_000))
    assert 800_000 <= peak < 820_000
