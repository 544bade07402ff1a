"""Checks whose strength is measured: mutants, cheats, and the rules that close whole kinds."""

import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zglearn import Objective
from zglearn.authoring import cheats, forks
from zglearn.authoring.mutants import (
    Result,
    WrongList,
    equivalents,
    holes,
    measure,
    out_of_date,
    told,
    unsteady_trials,
)
from zglearn.authoring.mutation import mutants
from zglearn.exercises import exercise as bank
from zglearn.exercises.answer import Answer, AnswerFailed, LocalNamespace
from zglearn.exercises.exercise import expect_close, find, judge_names
from zglearn.grading.student import Served, _answer
from zglearn.grading.wire import RemoteNamespace, Wire

SOLUTIONS = sorted((Path(__file__).parents[1] / "solutions").glob("[0-9][0-9]_*.ipynb"))
SAMPLE = 6  # mutants and cheats an exercise; `python3 -m zglearn mutants` tries them all

# A chapter is done when its equivalent mutants are listed. This set can only shrink.
OPEN = set()


def test_every_chapter_but_the_open_ones_lists_its_equivalents():
    missing = {n.name[:2] for n in SOLUTIONS if not n.with_suffix(".equivalent.toml").exists()}
    assert missing <= OPEN


@pytest.mark.parametrize("notebook", [n for n in SOLUTIONS
                                      if n.with_suffix(".equivalent.toml").exists()],
                         ids=lambda n: n.stem)
def test_no_mutant_survives(notebook):
    known = equivalents(notebook)
    results = list(measure(notebook, known=known, sample=SAMPLE))
    assert len(results) > SAMPLE
    assert not [f"{r.fate}: {r.line}" for r in holes(results, known)]


# --- making mutants ---------------------------------------------------------------------------

FUNCTION = '''def step(x, lr):
    """One step."""
    g = x.copy()
    for i in range(len(x)):
        if g[i] > 0.5:
            g[i] += np.mean(x, axis=0)
    return g[1:] - lr * g[:-1]
'''


@pytest.mark.parametrize("change", [
    "g = x.copy() → g = x", "for i in range(len(x)): → for i in range(len(x) - 1):",
    "for i in range(len(x)): → for i in range(1, len(x)):", "if g[i] > 0.5: → if g[i] >= 0.5:",
    "if g[i] > 0.5: → if g[i] > 1.0:", "if g[i] > 0.5: → if True:", "g = x.copy() → pass",
    "g[i] += np.mean(x, axis=0) → g[i] -= np.mean(x, axis=0)",
    "g[i] += np.mean(x, axis=0) → g[i] = np.mean(x, axis=0)",
    "g[i] += np.mean(x, axis=0) → g[i] += np.sum(x, axis=0)",
    "g[i] += np.mean(x, axis=0) → g[i] += np.mean(x, axis=1)",
    "g[i] += np.mean(x, axis=0) → g[i] += np.mean(x)",
    "return g[1:] - lr * g[:-1] → return g[1:] + lr * g[:-1]",
    "return g[1:] - lr * g[:-1] → return g[1:] - g[:-1]",
    "return g[1:] - lr * g[:-1] → return g[2:] - lr * g[:-1]",
    "return g[1:] - lr * g[:-1] → return x",
    "return g[1:] - lr * g[:-1] → return g[1:] - x * g[:-1]",
])
def test_each_operator_changes_one_thing(change):
    made = mutants(FUNCTION)
    assert change in made
    compile(made[change], "", "exec")


def test_the_names_of_mutants_outlive_a_new_layout():
    laid_out = FUNCTION.replace("len(x)", "len( x )").replace("    g =", "    # a copy\n    g =")
    assert mutants(laid_out) == mutants(FUNCTION)
    assert len(mutants(FUNCTION)) == len(set(mutants(FUNCTION).values()))


def test_docstrings_are_left_alone():
    assert not [change for change in mutants(FUNCTION) if "One step" in change]


# --- bounded processes ------------------------------------------------------------------------


def _bounded(kind):
    if kind == "loops":
        while True:
            time.sleep(0.1)
    if kind == "dies":
        os._exit(3)
    if kind == "eats":
        try:
            np.ones(2**29)
        except MemoryError:
            return "out of memory"
    return "done"


def test_processes_are_bounded():
    kinds = ["works", "loops", "dies", "eats"]
    said = dict(forks.forked(_bounded, kinds, workers=2, seconds=3))
    assert said == {"works": "done", "loops": forks.LATE, "dies": forks.DIED,
                    "eats": "out of memory"}


# --- the lists --------------------------------------------------------------------------------


def test_survivors_that_are_listed_are_no_holes_and_killed_ones_may_not_be_listed(small_bank):
    e = find("98.1")
    results = [Result(e, "a", [(True, "", "")] * 6), Result(e, "b", [(False, "bare", "no")]),
               Result(e, "c", [(True, "", ""), (False, "bare", "no")])]
    assert [r.fate for r in results] == ["survived", "killed", "flaky"]
    assert [r.change for r in holes(results, {("98.1", "a"): "same"})] == ["c"]
    known = {("98.1", "a"): "same", ("98.1", "b"): "same", ("98.1", "z"): "same"}
    assert out_of_date(results, known) == ["98.1  b", "98.1  z"]


@pytest.mark.parametrize("text, complaint", [
    ('[["98.1"]]\nmutant = "a"', "has a `mutant` and a `why`"),
    ('[["98.1"]]\nmutant = "a"\nwhy = " "', "has a `mutant` and a `why`"),
    ('[["98.1"]]\nmutant = "a"\nwhy = "b"\n' * 2, "listed twice"),
])
def test_a_list_of_equivalents_is_checked(tmp_path, text, complaint):
    (tmp_path / "98.equivalent.toml").write_text(text)
    with pytest.raises(WrongList, match=complaint):
        equivalents(tmp_path / "98.ipynb")


def test_a_check_is_measured_from_end_to_end(small_course):
    notebook = next((small_course / "solutions").glob("*.ipynb"))
    results = list(measure(notebook, ["98.1"]))
    assert {r.change for r in results} >= {"doubled = x + x → doubled = x - x",
                                           "counts its calls only",
                                           "says something else when asked again"}
    assert not holes(results, {})
    with pytest.raises(WrongList, match="no mutant is called so"):
        list(measure(notebook, ["98.1"], known={("98.1", "x → y"): "why"}))


def test_trials_are_put_through_many_seeds(small_course, monkeypatch):
    notebook = next((small_course / "solutions").glob("*.ipynb"))
    assert not list(unsteady_trials(notebook, {"98.1"}, seeds=3, workers=1))
    coin = replace(find("98.1"), check=lambda answer, rng: bank.expect(rng.random() < 0.5, "tails"))
    monkeypatch.setitem(bank._bank, "98.1", coin)
    said = "\n".join(unsteady_trials(notebook, {"98.1"}, seeds=8, workers=1))
    assert "right multiplies: in " in said and "wrong squares: in " in said


@pytest.mark.parametrize("body, kind", [
    ("return x * x", "mistake"), ("return None", "usually"), ("return 3", "bare"),
    ("return x / 0", "usually"), ("raise OSError('disk')", "error"),
])
def test_messages_are_sorted_by_how_much_they_explain(small_bank, body, kind):
    names = {}
    exec(f"def twice(x):\n    {body}", names)
    assert told(judge_names(find("98.1"), names)) == kind


# --- cheats: each is accepted by a lax check and refused by a strict one ------------------------


class Doubler:
    def __init__(self, lr=1.0):
        self.lr, self.sum = lr, 0.0

    def step(self, x):
        self.sum = self.sum + 2 * self.lr * x
        return self.sum


def descent(f, x, *, lr=0.1):
    while True:
        x = x - lr * f.grad(x)
        yield x


def slope(f, x, eps):
    return (f(x + eps) - f(x - eps)) / (2 * eps)


def bowl():
    return Objective(lambda x: 0.5 * np.sum(x**2, axis=-1), lambda x: x, batched=True)


def strict(answer, rng):
    x = rng.normal(size=3)
    if "Doubler" in answer._names.names:
        made = answer.make("Doubler", 3.0)
        expect_close(made.call("step", x), 6 * x, case="one step")
        expect_close(made.call("step", x), 12 * x, case="two")
    elif "descent" in answer._names.names:
        f = bowl()
        expect_close(answer.iterates("descent", f, x, 3, lr=0.5)[-1], x / 8, case="three steps")
        bank.expect(f.evaluations == 0 and f.gradients == 3, "three gradients and no loss")
    else:
        eps = rng.uniform(0.5, 1)
        loss, asked = bank.watched(lambda p: float(np.sum(p**3)))
        expect_close(answer.call("slope", loss, x, eps), np.sum(3 * x**2 + eps**2), case="cubic")
        bank.expect_asked(asked, [x + eps, x - eps], case="cubic")


def _exercise(name, check, **more):
    return bank.Exercise("98.9", "x", "implement", 1, 1, 1, (name,), ("a", "b", "c"), (), (), check,
                         **more)


@pytest.mark.parametrize("answer", [Doubler, descent, slope], ids=lambda a: a.__name__)
def test_a_strict_check_refuses_every_cheat(answer):
    names = {answer.__name__: answer}
    answer.__module__ = "__main__"
    assert judge_names(_exercise(answer.__name__, strict), names, 0).accepted
    tried = 0
    for label, make in cheats.cheats(_exercise(answer.__name__, strict), names):
        cheats.touched.clear()
        verdict = judge_names(_exercise(answer.__name__, strict), make(), 1)
        if cheats.did_something(label):
            tried += 1
            assert not verdict.accepted, label
    assert tried >= 2


# --- rules that close whole kinds -------------------------------------------------------------


def answer_of(source, in_place=False):
    names = {}
    exec("import numpy as np\n" + source, names)
    return Answer(LocalNamespace(names), in_place)


@pytest.mark.parametrize("body, argument", [
    ("a[0] = 7", np.zeros(2)), ("a.append(1)", [1.0]), ("a.clear()", {"k": 1}),
    ("a[0][0] = 5", (np.zeros(2), 1)),
])
def test_an_answer_that_changes_its_input_is_refused_unless_it_may(body, argument):
    source = f"def f(a):\n    {body}\n    return 1"
    with pytest.raises(AnswerFailed, match="f changed the"):
        answer_of(source).call("f", argument)
    assert answer_of(source, in_place=True).call("f", argument) == 1


def test_an_answer_may_change_what_it_is_allowed_to_and_no_more():
    weights_only = "def f(weights, gradient):\n    weights[0] = 7\n    return 1"
    both = weights_only.replace("7", "7; gradient *= 2")
    assert answer_of(weights_only, in_place=(0,)).call("f", np.zeros(2), np.ones(2)) == 1
    with pytest.raises(AnswerFailed, match="f changed the array that it was given as argument 2"):
        answer_of(both, in_place=(0,)).call("f", np.zeros(2), np.ones(2))


def test_the_grader_sees_a_changed_input_too():
    """Through the wire, where the answer runs in another process."""
    ours, theirs = socket.socketpair()
    names = {}
    exec("def f(a):\n    a[0] = 7\n    return 1", names)
    served = Served(names, Wire(theirs))

    def request(message, buffers, deadline):
        return _answer(served, message, buffers)

    for in_place in (False, (0,), True):
        answer = Answer(RemoteNamespace(request, "98.1", 5), in_place)
        if in_place:
            assert answer.call("f", np.zeros(2)) == 1
        else:
            with pytest.raises(AnswerFailed, match="f changed the array"):
                answer.call("f", np.zeros(2))
    ours.close()
    theirs.close()


@pytest.mark.parametrize("source", [
    "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)",
    "def f(x, seen=[]):\n    seen.append(x)\n    return sum(seen)",
    "def f(x):\n    return np.random.random()",
    "kept = {}\ndef f(x):\n    y = x + kept.pop(len(str(x)), 0)\n    kept.clear()\n"
    "    kept[len(str(x))] = x\n    return y",
])
def test_an_answer_that_depends_on_what_was_asked_before_is_refused(source):
    """Even if what it keeps fits to the same question alone, and not to the last one."""
    answer = answer_of(source)
    answer.call("f", 1.0)
    answer.call("f", 10.0)
    with pytest.raises(AnswerFailed, match="asked the same question a second time"):
        answer.ask_again()


def test_asking_again_is_fair():
    """Noisy losses, counted steps and random sources that are given make no difference."""
    noise = np.random.default_rng(0)
    answer = answer_of("def f(loss, x, rng):\n    z = rng.normal(size=2)\n"
                       "    return loss(x + z) - loss(x - z)")
    answer.call("f", lambda p: float(p @ p) + noise.normal(), np.ones(2), np.random.default_rng(1))
    answer.ask_again()


def test_points_that_move_from_one_time_to_the_next_are_seen():
    answer = answer_of("n = []\ndef f(loss, x):\n    n.append(1)\n    loss(x * len(n))\n"
                       "    return 1")
    answer.call("f", lambda p: float(p @ p), np.ones(2))
    with pytest.raises(AnswerFailed, match="a second time"):
        answer.ask_again()


def test_a_class_that_shares_its_state_is_refused():
    source = ("class A:\n    t = 0\n    def step(self):\n        A.t += 1\n        return A.t")
    answer = answer_of(source)
    made = answer.make("A")
    assert [made.call("step"), made.call("step")] == [1, 2]
    with pytest.raises(AnswerFailed, match="a second time"):
        answer.ask_again()
    answer = answer_of(source.replace("A.t", "self.t"))
    made = answer.make("A")
    assert [made.call("step"), made.call("step")] == [1, 2]
    answer.ask_again()


def test_a_class_that_shares_what_each_instance_makes_new_is_refused():
    source = ("class A:\n    def __init__(self, by):\n        A.by, A.t = by, 0\n"
              "    def step(self):\n        A.t += A.by\n        return A.t")
    answer = answer_of(source)
    made = answer.make("A", 1)
    assert [made.call("step"), made.call("step"), answer.make("A", 5).call("step")] == [1, 2, 5]
    with pytest.raises(AnswerFailed, match="a second time"):
        answer.ask_again()
    answer = answer_of(source.replace("A.", "self."))
    made = answer.make("A", 1)
    assert [made.call("step"), made.call("step"), answer.make("A", 5).call("step")] == [1, 2, 5]
    answer.ask_again()


@pytest.mark.parametrize("got, want", [
    (1.36142, 1.361), (1 + 1e-4, 1.0), (np.array([1.0, 2.0001]), np.array([1.0, 2.0])),
    (np.full(9, 1.0001), np.ones(9)),
])
def test_a_message_has_as_many_digits_as_tell_the_two_apart(got, want):
    with pytest.raises(bank.Incorrect) as caught:
        expect_close(got, want, case="x")
    expected, came = str(caught.value).split("expected ")[1].rstrip(".").split(", got ")
    assert expected.split(" at ")[0] != came.split(" (")[0]


def test_a_tolerance_can_be_relative_to_the_step():
    x, step = np.full(3, 100.0), np.full(3, 1e-2)
    expect_close(x + 1.001 * step, x + step, case="as a number")
    with pytest.raises(bank.Incorrect):
        expect_close(x + 1.1 * step, x + step, start=x, case="as a step")
    expect_close(np.float32(x + step), x + step, start=x, case="in single precision")


def test_a_mistake_is_named_only_if_it_is_far_from_right():
    with pytest.raises(bank.Incorrect, match="Usual cause: u"):
        expect_close(2.0, 1.0, case="x", mistakes={"m": 1.9}, usually="u", rtol=0.1)
    with pytest.raises(bank.Incorrect, match="It looks as if m"):
        expect_close(1.9, 1.0, case="x", mistakes={"m": 1.9}, usually="u")


def test_the_points_asked_are_compared_in_any_order():
    x = np.arange(3.0)
    bank.expect_asked([x + 1, x], [x, x + 1], case="two")
    for asked in ([x], [x, x + 1, x], [x, x + 2], []):
        with pytest.raises(bank.Incorrect, match="two: the loss"):
            bank.expect_asked(asked, [x, x + 1], case="two")


def test_pairs_are_told_from_points_around_something_else():
    rng = np.random.default_rng(0)
    x, steps = rng.normal(size=4), rng.normal(size=(3, 4))
    asked = [x + s for s in steps] + [x - s for s in steps]
    found = bank.expect_pairs(asked, x, 3, case="three")
    assert all(any(np.allclose(f, s) or np.allclose(f, -s) for s in steps) for f in found)
    for wrong in ([*steps, *-steps], asked[:4], asked + asked[:1], [x + s for s in steps] * 2):
        with pytest.raises(bank.Incorrect, match="three: the loss"):
            bank.expect_pairs(wrong, x, 3, case="three")
