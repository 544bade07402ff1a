"""How far a notebook's numbers may move: the statement, the comparison, and nbval with it."""

import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from zglearn.authoring import tolerance
from zglearn.authoring.tolerance import Tolerance, moves, tolerance_of


def printed(*texts, name="stdout"):
    return [new_output("stream", name=name, text=text) for text in texts]


def shown(kind, text):
    return [new_output("display_data", {kind: text})]


def stated(*tags):
    return tolerance_of(new_code_cell("1", metadata={"tags": list(tags)}))


def holds(saved, now, *tags):
    return all(move.allowed for move in moves(printed(saved), printed(now), stated(*tags)))


@pytest.mark.parametrize("saved, now", [
    ("0.50", "0.51"), ("0.50", "0.5"), ("a 1", "a  1"), ("1,000", "1000"), ("-0.0", "0.0"),
])
def test_without_a_word_the_text_is_compared_exactly(saved, now):
    assert holds(saved, saved)
    assert not holds(saved, now) and not holds(saved, now, "some-other-tag")


@pytest.mark.parametrize("saved, now, tag, good", [
    ("0.47", "0.49", "within 0.02", True),  # as printed, not as binary fractions: 0.020000000000018
    ("0.47", "0.50", "within 0.02", False),
    ("0.01", "-0.01", "within 0.02", True),
    ("-0.01 and 1", "0.02 and 1", "within 0.02", False),
    ("−3.5", "-3.4", "within 0.1", True),  # the typographic minus is a minus
    ("+0.3", "-0.3", "within 5%", False),
    ("47 %", "49 %", "within 2", True),
    ("47%", "49%", "within 5%", True),
    ("47%", "50%", "within 5%", False),
    ("12,345", "12,900", "within 5%", True),
    ("12,345", "13,400", "within 5%", False),
    ("999 evaluations", "1,004 evaluations", "within 5", True),
    ("1.0e-05", "1.1e-05", "within 10%", True),
    ("1.0e-05", "1.1e-04", "within 10%", False),
    ("1e-09", "3E-9", "within 1e-8", True),
    ("0", "0.001", "within 5%", False),  # a share of nothing is nothing
    ("lr 0.1", "lr 0.3", "within 1e-2", False),
    ("[0.10, 0.20]", "[0.11, 0.19]", "within 0.01", True),
    ("3-5 steps", "3-6 steps", "within 1", True),
    ("3-5 steps", "3 -5 steps", "within 20", False),  # no longer a range
])
def test_numbers_move_as_far_as_is_stated(saved, now, tag, good):
    assert holds(saved, now, tag) == good
    assert holds(f"{saved}\n7.25", f"{now}\n7.25", tag) == good


def test_with_both_kinds_the_wider_one_counts():
    assert holds("100 and 0.01", "104 and 0.03", "within 5%", "within 0.02")
    assert not holds("100 and 0.01", "106 and 0.03", "within 5%", "within 0.02")
    assert not holds("100 and 0.01", "104 and 0.04", "within 5%", "within 0.02")


@pytest.mark.parametrize("saved, now", [
    ("1 learns", "1 does not"), ("loss 1", "gain 1"), ("nan", "1"), ("1", "nan"), ("inf", "-inf"),
    ("nan", "inf"), ("1\n2", "1"), ("1\n2", "1 2"), ("1", "1 2"), ("R2", "R3"), ("0.5.1", "0.5.2"),
    ("1.5", "1 . 5"), ("12,34", "1234"), ("5", ""), ("x1", "x 1"),
])
def test_a_tolerance_is_for_numbers_only(saved, now):
    assert holds(saved, saved, "within 90%", "within 1000")
    assert not holds(saved, now, "within 90%", "within 1000")


def test_nan_and_inf_stay_what_they_are():
    assert holds("nan inf -inf 1.0", "nan inf -inf 1.1", "within 0.1")


def test_columns_may_widen_with_a_number():
    assert holds("name     9.9   b\nlonger  10.0  b", "name    10.0   b\nlonger   9.9   b",
                 "within 0.1")


def test_every_text_is_compared_and_no_picture():
    within = stated("within 0.1")
    for kind in ("text/plain", "text/html", "text/latex", "image/svg+xml"):
        assert moves(shown(kind, "1.0"), shown(kind, "1.1"), within)[0].allowed
        assert not moves(shown(kind, "1.0"), shown(kind, "1.2"), within)[0].allowed
    assert not moves(shown("image/png", "AAAA"), shown("image/png", "BBBB"), within)
    assert not moves(printed("1", "2"), printed("12"), within), "streams are joined, as nbval does"


def test_an_output_more_or_less_or_of_another_kind_is_no_number():
    within = stated("within 100")
    one = shown("text/plain", "1")
    for other in ([], one * 2, shown("text/html", "1"), printed("1"), printed("1", name="stderr")):
        assert not all(move.allowed for move in moves(one, other, within))
        assert not all(move.allowed for move in moves(other, one, within))


@pytest.mark.parametrize("tag", [
    "within", "within 5 %", "within 5percent", "within -1", "within 0", "within 0%", "within nan",
    "within .5", "within 5%.", "Within 5%", " within 5%", "within 100%", "within 0.1 0.2",
    "within-5%", "within 1 000",
])
def test_a_malformed_statement_is_an_error(tag):
    with pytest.raises(tolerance.Malformed, match="write `within 0.02`|less than 100%"):
        stated(tag)


def test_two_statements_of_one_kind_and_a_comparison_switched_off_are_errors():
    with pytest.raises(tolerance.Malformed, match="keep one"):
        stated("within 0.1", "within 0.2")
    with pytest.raises(tolerance.Malformed, match="keep one of them"):
        stated("within 0.1", "nbval-ignore-output")


def test_what_moved_is_said():
    move, = moves(printed("0.50 and 0.010"), printed("0.53 and 0.012"), Tolerance())
    assert str(move) == ("2 moved, by up to 0.03 (0.50 to 0.53) and 20.00% (0.010 to 0.012)")
    assert move.numbers == [(Decimal("0.50"), Decimal("0.53")),
                            (Decimal("0.010"), Decimal("0.012"))]
    move, = moves(printed("a 1\nit learns"), printed("a 2\nit does not"), Tolerance())
    assert str(move).split("\n")[1:] == ["  saved: it learns", "  now:   it does not"]


# --- nbval --------------------------------------------------------------------------------------


ROOT = Path(__file__).parents[1]
BY_NAME = ("-p", "zglearn.authoring.tolerance")


def run_nbval(path, *cells, plugin=BY_NAME):
    """nbval's report on a notebook of (code, what is saved as printed, tags)."""
    notebook = new_notebook(cells=[
        new_code_cell(code, id=f"cell-{n}", metadata={"tags": tags}, execution_count=1,
                      outputs=printed(saved))
        for n, (code, saved, *tags) in enumerate(cells)])
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--nbval", "--nbval-current-env",
               "--color=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", *plugin, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def test_nbval_compares_within_what_a_cell_states(tmp_path):
    done = run_nbval(tmp_path / "cells.ipynb", ("print(0.51)", "0.50\n"),
                     ("print(0.51)", "0.50\n", "within 0.01"),
                     ("print(0.52)", "0.50\n", "within 0.01"),
                     ("print('a 0.50')", "b 0.50\n", "within 1%"),
                     ("print(1.04e-7)", "1.00e-07\n", "within 5%"))
    verdicts = re.findall(r"^(PASSED|FAILED) .*::Cell (\d)", done.stdout, re.MULTILINE)
    assert sorted((int(number), verdict) for verdict, number in verdicts) == [
        (0, "FAILED"), (1, "PASSED"), (2, "FAILED"), (3, "FAILED"), (4, "PASSED")]
    assert "Allowed: within 0.01." in done.stdout
    assert "1 moved, by up to 0.02 (0.50 to 0.52) and 4.00% (0.50 to 0.52)" in done.stdout


def test_plain_nbval_finds_the_comparison_by_itself(tmp_path):
    """Who runs `pytest --nbval chapters/...` without another word gets it from the root."""
    shutil.copy(ROOT / "conftest.py", tmp_path)
    done = run_nbval(tmp_path / "cells.ipynb", ("print(0.51)", "0.50\n", "within 0.01"),
                     ("print(0.51)", "0.50\n"), plugin=("--rootdir", str(tmp_path)))
    assert "1 failed, 1 passed" in done.stdout


def test_nbval_runs_no_notebook_with_a_malformed_statement(tmp_path):
    done = run_nbval(tmp_path / "odd.ipynb", ("print(1)", "1\n"), ("print(1)", "1\n", "within 5 %"))
    assert done.returncode != 0
    assert "cell cell-1: the tag 'within 5 %' is no tolerance" in done.stderr
    assert "passed" not in done.stdout and "Traceback" not in done.stdout + done.stderr
