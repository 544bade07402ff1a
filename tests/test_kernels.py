"""Notebooks in the arithmetic of other processors."""

import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from zglearn.authoring import kernels
from zglearn.authoring.kernels import Arithmetic


def test_a_process_says_what_it_computes_with():
    own = kernels.probe("own", {})
    assert own.blas and str(own).startswith(f"own: {own.blas[0]} kernels, NumPy with")
    if own.simd:
        less = kernels.probe("less", kernels._without(own.simd))
        assert less.simd == () and less.blas == own.blas and not less.equals(own)
        assert str(less).endswith("NumPy with its baseline only")


def test_what_cannot_run_is_no_arithmetic():
    assert kernels.probe("broken", {"PYTHONHOME": os.devnull}) is None


def test_of_equal_arithmetics_the_first_stays_and_the_others_say_so(monkeypatch):
    def probe(name, environ):
        core = environ.get("OPENBLAS_CORETYPE", "SkylakeX")
        if core == "Nehalem":
            return None
        off = environ.get("NPY_DISABLE_CPU_FEATURES", "").split()
        simd = [name for name in ("X86_V3", "X86_V4", "AVX512_ICL") if name not in off]
        return Arithmetic(name, environ, ("Haswell" if core == "Zen" else core,), tuple(simd))

    monkeypatch.setattr(kernels, "probe", probe)
    found, left_out = kernels.arithmetics()
    assert [arithmetic.name for arithmetic in found] == [
        "own", "Haswell", "NumPy without AVX-512", "NumPy's baseline",
        "Haswell, NumPy without AVX-512"]
    assert found[2].simd == ("X86_V3",) and found[3].simd == ()
    assert left_out == {"Nehalem": "does not run here", "SkylakeX": "here the same as own",
                        "Zen": "here the same as Haswell",
                        "Nehalem, NumPy's baseline": "does not run here"}
    assert kernels.farthest() == found[-1]
    monkeypatch.setattr(kernels, "probe", lambda name, environ: Arithmetic(name, environ))
    assert kernels.farthest() is None


@pytest.fixture
def two(monkeypatch, tmp_path):
    """Two arithmetics, in which a cell reads another number."""
    asked = [Arithmetic("own", {"FACTOR": "1"}), Arithmetic("other", {"FACTOR": "1.03"})]
    monkeypatch.setattr(kernels, "arithmetics", lambda: (asked, {"third": "does not run here"}))
    monkeypatch.setattr(kernels.paths, "private", lambda: tmp_path)

    def notebook(*tags, code="import os\nprint(f'{5 * float(os.environ[\"FACTOR\"]):.2f} nats')"):
        cell = new_code_cell(code, id="a-cell", metadata={"tags": list(tags)}, execution_count=1,
                             outputs=[new_output("stream", text="5.00 nats\n")])
        nbformat.write(new_notebook(cells=[cell]), tmp_path / "one.ipynb")
        return str(tmp_path / "one.ipynb")

    return notebook


def test_what_differs_is_named_and_fails(two, capsys):
    path = two()
    assert kernels.main([path]) == 1
    said = capsys.readouterr().out
    assert "third: does not run here" in said
    assert f"{path}, own: holds\n" in said
    assert (f"{path}, other: DIFFERS\n  a-cell: 1 moved, by up to 0.15 (5.00 to 5.15) and 3.00% "
            "(5.00 to 5.15)\n") in said
    assert f"0 of 1 notebooks hold in own; other\n{path} differs in other\n" in said


def test_what_is_allowed_holds_and_only_what_is_asked_runs(two, capsys):
    path = two("within 4%")
    assert kernels.main([path, "-n", "2"]) == 0
    assert f"{path}, other: holds\n  a-cell (allowed): 1 moved" in capsys.readouterr().out
    assert kernels.main([two(), "--only", "own"]) == 0
    assert "1 of 1 notebooks hold in own\n" in capsys.readouterr().out
    assert kernels.main(["--list"]) == 0
    assert "holds" not in capsys.readouterr().out


@pytest.mark.parametrize("notebook, complaint", [
    (dict(code="1 / 0"), "ZeroDivisionError"), ({"tags": "within 4 %"}, "write `within 0.02`"),
])
def test_a_cell_that_fails_or_states_nonsense_fails(two, capsys, notebook, complaint):
    tags = [notebook.pop("tags")] if "tags" in notebook else []
    assert kernels.main([two(*tags, **notebook), "--only", "own"]) == 1
    assert complaint in capsys.readouterr().out


@pytest.mark.parametrize("argv, complaint", [
    (["-n", "0"], "at least 1"), (["--only", "third"], "not of the list above: third"),
])
def test_bad_options_are_refused(two, capsys, argv, complaint):
    with pytest.raises(SystemExit) as stop:
        kernels.main([two(), *argv])
    assert stop.value.code == 2 and complaint in capsys.readouterr().err
