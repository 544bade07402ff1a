"""Checks, verdicts, hints, predictions: what a learner sees, and what must never fool a check."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_course import ANSWER, PROSE

from zglearn import Objective
from zglearn.authoring import notebooks
from zglearn.course import learner, progress
from zglearn.exercises import answer as answers
from zglearn.exercises import exercise as bank
from zglearn.exercises import limits
from zglearn.exercises.answer import AnswerFailed, LocalNamespace, NotAttempted, NotPlain


def names_of(source):
    names = {}
    learner.run_source(source, names, "<test>")
    return names


def answer_of(source):
    return answers.Answer(LocalNamespace(names_of(source)))


def travel(value):
    """Through the codec, JSON included, as over a wire."""
    tree, buffers = answers.encode(value)
    return answers.decode(json.loads(json.dumps(tree)), buffers)


# --- plain data -------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2**70, 2**70) | st.floats(allow_nan=False) | st.text()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20)


@given(PLAIN)
def test_plain_data_travels_unchanged(value):
    assert travel(value) == value


@pytest.mark.parametrize("array", [
    np.arange(6.0).reshape(2, 3), np.float32([1, np.nan]), np.array([True]), np.zeros((0, 3)),
    np.array(["one", "three"]), np.arange(10)[::-2], np.array(3 + 1j), np.arange(3, dtype=">i4")])
def test_arrays_travel_unchanged_and_are_copies(array):
    came = travel(array)
    assert type(came) is np.ndarray and came.dtype == array.dtype and came.flags.writeable
    np.testing.assert_array_equal(came, array)
    assert not np.shares_memory(came, array)


def test_kinds_of_the_same_thing_become_plain():
    U, S, V = travel(np.linalg.svd(np.eye(2)))
    assert type(U) is np.ndarray
    assert travel(np.float32(0.5)) == 0.5 and type(travel(np.float64(2))) is float
    assert travel({1, 2}) == {1, 2} and travel({(0, 1): 2}) == {(0, 1): 2}


class Liar(np.ndarray):
    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value, advice", [
    (np.zeros(2).view(Liar), "return a plain array"), (np.ma.array([1]), "return a plain array"),
    (np.array([[1], None], dtype=object), "unequal length"), ((n for n in "ab"), "list("),
    (np.sin, "meant to be called"), (object(), "return numbers"), (2**5000, "bits"),
    (Objective(np.sum), "meant to be called"), ([1] * 2_000_000, "more data"),
    (np.zeros(10**8, dtype=bool), "more data"), (range(3), "list("), ({}.keys(), "list("),
])
def test_what_is_not_plain_is_refused_with_advice(value, advice):
    with pytest.raises(NotPlain, match=advice.replace("(", r"\(")):
        answers.encode(value)


def test_data_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(NotPlain, match="nested"):
        answers.encode(loop)


@pytest.mark.parametrize("tree, buffers", [
    ({"array": [0, "<f8", [3]]}, [b"123"]), ({"array": [1, "<f8", [0]]}, [b""]),
    ({"array": [0, "O", [1]]}, [b"12345678"]), ({"array": [-1, "<f8", [1]]}, [bytes(8)]),
    ({"array": [0, "<f8", [2**40, 2**40]]}, [b""]), ({"array": [0, "<f8", [-1]]}, [bytes(8)]),
    ({"object": 1}, []), ({"tuple": [1], "set": [1]}, []), ({"dict": [[[1], 2]]}, []),
    ({"function": 0}, []), ({"complex": [1]}, []), ({"rng": "x"}, []), ({"dict": [1]}, []),
    ({"tuple": 5}, []), ({"array": 5}, []),
])
def test_damaged_data_is_refused(tree, buffers):
    with pytest.raises(NotPlain):
        answers.decode(tree, buffers)


# --- asking an answer -------------------------------------------------------------------------


def test_an_answer_gets_copies():
    x = np.ones(3)
    answer = answer_of("def f(x):\n    x *= 2\n    return x")
    with pytest.raises(AnswerFailed, match="changed the array"):
        answer.call("f", x)
    assert x.tolist() == [1, 1, 1]


def test_iterates_are_read_as_they_come_even_when_changed_in_place():
    f = Objective(lambda x: x @ x, lambda x: 2 * x)
    source = "def descend(f, x, lr):\n    while True:\n        x -= lr * f.grad(x)\n        yield x"
    points = answer_of(source).iterates("descend", f, np.ones(2), 3, lr=0.25)
    np.testing.assert_allclose(points, [[0.5] * 2, [0.25] * 2, [0.125] * 2])
    assert f.gradients == 3


def test_a_method_may_ask_a_population_and_get_a_random_source():
    f = Objective(lambda x: float(x @ x))
    source = ("def search(f, x, rng, *, n):\n    while True:\n"
              "        X = x + rng.normal(size=(n, len(x)))\n        x = X[f(X).argmin()]\n"
              "        yield x")
    ask = answer_of(source)
    first = ask.iterates("search", f, np.ones(2), 2, rng=np.random.default_rng(1), n=4)
    again = ask.iterates("search", f, np.ones(2), 2, rng=np.random.default_rng(1), n=4)
    np.testing.assert_array_equal(first, again)
    assert f.evaluations == 16


def test_iterates_may_come_from_an_object():
    source = ("class descend:\n    def __init__(self, f, x):\n        self.x = x\n"
              "    def __iter__(self):\n        while True:\n            self.x = self.x / 2\n"
              "            yield self.x")
    points = answer_of(source).iterates("descend", Objective(np.sum), np.ones(1), 3)
    assert points.tolist() == [[0.5], [0.25], [0.125]]


def test_a_value_may_be_an_array_without_axes():
    assert type(answer_of("import numpy as np\nf = np.array(2.5)").value("f")) is float


def test_an_attribute_that_raises_is_told():
    source = "class C:\n    @property\n    def x(self):\n        return 1 / 0"
    with pytest.raises(AnswerFailed, match="x raised ZeroDivisionError"):
        answer_of(source).make("C").value("x")


def test_an_instance_keeps_its_state():
    kept = answer_of("class Count:\n    def __init__(self, n):\n        self.n = n\n"
                     "    def step(self, by=1):\n        self.n += by\n        return self.n"
                     ).make("Count", 3)
    assert kept.call("step") == 4 and kept.call("step", by=2) == 6 and kept.value("n") == 6


@pytest.mark.parametrize("keeps, calls", [("self.kept or [x]", 2), ("[x]", 4)])
def test_an_object_may_not_change_what_it_was_given_earlier(keeps, calls):
    """The first array, or the one before."""
    kept = answer_of("class Sum:\n    kept = ()\n    def add(self, x):\n"
                     "        for old in self.kept[:len(x) - 2]:\n            old += x[:2]\n"
                     f"        self.kept = {keeps}\n        return 0").make("Sum")
    for _ in range(calls - 1):
        kept.call("add", np.ones(2))
    with pytest.raises(AnswerFailed, match="changed the earlier array"):
        kept.call("add", np.ones(3))


@pytest.mark.parametrize("source, message", [
    ("def f(x):\n    y = 0\n    return x / y", "raised ZeroDivisionError.*line 3: `return x / y`"),
    ("def f():\n    return 1", r"f raised TypeError.*Keep the arguments"),
    ("def f(x):\n    return object()", "`?f returned a object: return numbers"),
    ("f = 3", "`f` is 3, not a function"),
    ("import sys\ndef f(x):\n    sys.exit(1)", "f raised SystemExit"),
    ("def f(x):\n    return f(x)", "f raised RecursionError"),
    ("def f(x):\n    yield x", r"list\("),
    ("def f(x):\n    return next(iter(()))", "f raised StopIteration"),
    ("class E(Exception):\n    def __str__(self): return 1 / 0\ndef f(x):\n    raise E",
     "f raised an exception that cannot be shown"),
])
def test_an_answer_that_fails_is_told_how(source, message):
    with pytest.raises(AnswerFailed, match=message):
        answer_of(source).call("f", 1.0)


@pytest.mark.parametrize("source", [
    "", "f = ...", "def f(x):\n    raise NotImplementedError", "def f(x):\n    return ...",
    "from zglearn.gradient_methods import momentum as f"])
def test_a_stub_is_not_attempted(source):
    with pytest.raises(NotAttempted):
        answer_of(source).call("f", 1.0)


@pytest.mark.parametrize("body, message", [
    ("return [x]", "ended after 1 of 3"), ("return 3", "gives no iterates"),
    ("while True:\n        yield None", "iterate 1 of f is None"),
    ("while True:\n        yield x[0]", r"shape \(\), but the start point has shape \(2,\)"),
    ("yield x\n    1 / 0", "f raised ZeroDivisionError"),
])
def test_iterates_that_are_none_are_told(body, message):
    source = f"def f(objective, x):\n    {body}"
    with pytest.raises(AnswerFailed, match=message):
        answer_of(source).iterates("f", Objective(np.sum), np.ones(2), 3)


def test_no_gradient_means_no_gradient():
    source = "def f(objective, x):\n    while True:\n        yield objective.grad(x)"
    with pytest.raises(AnswerFailed, match="GradientForbidden"):
        answer_of(source).iterates("f", Objective(np.sum), np.ones(2), 1)


# --- verdicts ---------------------------------------------------------------------------------


def verdict_on(source, id="98.1", seed=None):
    return bank.judge_names(bank.find(id), names_of(source), seed)


RIGHT = "def twice(x):\n    return 2 * x"


def test_the_three_outcomes(small_bank):
    assert verdict_on(RIGHT).status == "correct"
    assert verdict_on("").status == "not_attempted"
    wrong = verdict_on("def twice(x):\n    return x * x")
    assert wrong.status == "incorrect"
    assert "expected" in wrong.message and "It looks as if this is the square" in wrong.message
    assert "Why not x * x?" in repr(verdict_on(RIGHT))


@pytest.mark.parametrize("source", [
    "import numpy as np\ndef twice(x):\n    return np.float32(2 * x)",
    "def twice(x):\n    x *= 2\n    return x",
    "def helper(x):\n    return x + x\ntwice = lambda number: helper(number)",
    "import numpy as np\ndef twice(x):\n    return np.array([2 * x])",
    "class Twice:\n    def __call__(self, x):\n        return 2 * x\ntwice = Twice()",
])
def test_any_right_way_of_writing_it_is_right(small_bank, source):
    assert verdict_on(source).status == "correct"


@pytest.mark.parametrize("source", [
    "def twice(x):\n    return 7.0", "def twice(x):\n    print('Correct: 98.1 Double it')",
    "def twice(x):\n    return float('nan')", "def twice(x):\n    return None",
    "class Sly(float):\n    __eq__ = __lt__ = __le__ = lambda *a: True\n"
    "    __sub__ = __rsub__ = lambda *a: 0.0\ndef twice(x):\n    return Sly(1)",
    "import numpy as np\nclass Sly(np.ndarray):\n    __array_ufunc__ = lambda *a, **k: np.True_\n"
    "def twice(x):\n    return np.zeros(()).view(Sly)",
    "class Sly:\n    def __float__(self): return 7.0\n    __array__ = __sub__ = __float__\n"
    "def twice(x):\n    return Sly()",
])
def test_no_trick_is_accepted(small_bank, source):
    assert verdict_on(source).status == "incorrect"


def test_what_the_learner_prints_is_shown_but_bounded(small_bank, capsys):
    verdict = verdict_on("def twice(x):\n    print('I am here ' * 100_000)")
    assert capsys.readouterr().out == ""
    assert "I am here" in repr(verdict) and len(repr(verdict)) < 3000


LOOPS = ["def twice(x):\n    while True:\n        pass",
         "def twice(x):\n    while True:\n        try:\n            x = x + 1\n"
         "        except BaseException:\n            pass",
         "import time\ndef twice(x):\n    time.sleep(1000)"]


@pytest.mark.parametrize("source", LOOPS)
def test_an_endless_loop_is_told_as_such_and_the_kernel_lives(small_bank, monkeypatch, source):
    with monkeypatch.context() as impatient:
        impatient.setattr(bank, "TIME_LIMIT", 0.3)
        verdict = verdict_on(source)
    assert (verdict.status, verdict.cause) == ("incorrect", "timeout")
    assert "loop that never ends" in verdict.message
    assert verdict_on(RIGHT).status == "correct"


@pytest.mark.parametrize("source", LOOPS[:2])
def test_an_endless_loop_in_a_thread_is_stopped_too(small_bank, monkeypatch, source):
    monkeypatch.setattr(bank, "TIME_LIMIT", 0.3)
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(verdict_on(source)))
    thread.start()
    thread.join(20)
    assert verdicts[0].cause == "timeout"


def test_the_time_limit_leaves_no_alarm_behind():
    assert limits.bounded(lambda: 3, 1) == 3
    time.sleep(1.1)
    with pytest.raises(ValueError, match="own"):
        limits.bounded(lambda: (_ for _ in ()).throw(ValueError("own")), 5)


def test_a_check_that_trips_over_an_answer_says_so(small_bank):
    @bank.exercise("98.9", "Pair", kind="implement", difficulty=1, minutes=1, points=1,
                   names=["pair"], hints=["a", "b", "c"])
    def pair(answer, rng):
        first, second = answer.call("pair")

    verdict = verdict_on("def pair():\n    return 1", "98.9")
    assert verdict.status == "incorrect" and "Does it return what the task" in verdict.message


@pytest.mark.parametrize("value, status", [
    *((repr(dressed), "correct") for dressed in ("b", " B) ", "(b)", "b.", "**b**", "`b`", "b: two",
                                                 "Option b", "(b) two is even", "b) a, not")),
    *((repr(other), "incorrect") for other in ("a", "z", "", "bigram", "b a", "both", "ab", "b, c",
                                                  "b/a/c", "(b) (a)", "b (or a)", "b\n- c and a",
                                                  "answer b, a")),
    ("2", "incorrect"), ("...", "not_attempted"), ('["b"]', "incorrect")])
def test_a_choice(small_bank, value, status):
    assert verdict_on(f"answer_98_2 = {value}", "98.2").status == status


def test_a_choice_in_a_million_blanks_is_read_at_once(small_bank):
    verdict = verdict_on('answer_98_2 = " " * 10**6 + "b" + ")" * 10**6', "98.2")
    assert (verdict.status, verdict.cause) == ("correct", "")
    assert verdict_on('answer_98_2 = " " * 10**6', "98.2").cause == ""


def test_each_choice_is_told_its_own_reason(small_bank):
    assert verdict_on('answer_98_2 = "a"', "98.2").message == "One is odd."
    assert verdict_on('answer_98_2 = "b"', "98.2").message == "Two is even."
    assert "choose one of 'a', 'b'" in verdict_on('answer_98_2 = "z"', "98.2").message


@pytest.mark.parametrize("value, status", [
    (repr(PROSE), "answered"),
    ("'too short'", "incorrect"), (repr("because so " * 40), "incorrect"), ("5", "incorrect"),
    ("'  '", "not_attempted"), ("...", "not_attempted")])
def test_an_open_question_is_scored_by_a_person(small_bank, value, status):
    verdict = verdict_on(f"answer_98_4 = {value}", "98.4")
    assert verdict.status == status
    assert ("[ ] It says why" in repr(verdict)) == (status == "answered")


@pytest.mark.parametrize("got, want, complaint", [
    (1.0, 2.0, "expected 2, got 1"), (None, 1.0, "Is the `return` missing"),
    ("one", 1.0, "expected numbers, got the text 'one'"),
    ([1.0, 2.0], 1.0, "expected a single number, got shape (2,)"),
    ([[1.0]], [1.0, 2.0], "expected shape (2,), got shape (1, 1)"),
    ([[1, 2], [3]], 1.0, "expected numbers, got a list"),
    (np.arange(6.0), np.arange(6.0) + [0, 0, 0, 0, 5, 0], "expected 9 at [4], got 4"),
    ([1.0, np.nan], [1.0, 2.0], "got [1, nan]"), ([1.0, 5.0], [1.0, np.inf], "got [1, 5]"),
])
def test_expect_close_says_what_came(got, want, complaint):
    with pytest.raises(bank.Incorrect) as error:
        bank.expect_close(got, want, case="a case", usually="this and that")
    assert str(error.value).startswith("a case: ") and complaint in str(error.value)
    if got is not None and not isinstance(got, str | list) or "shape" in complaint:
        assert "Usual cause: this and that." in str(error.value)


@pytest.mark.parametrize("got, want", [
    (1 + 1e-7, 1.0), ([1.0], 1.0), (np.float32(1 / 3), 1 / 3), ([np.nan, 1], [np.nan, 1]),
    ([np.inf], [np.inf]), ([1e-12, 1e6], [0, 1e6]), (True, 1), ([], [])])
def test_expect_close_accepts_what_is_close(got, want):
    bank.expect_close(got, want, case="a case")


@pytest.mark.parametrize("last_digits", [(0, 1e-12, 0), (1e-12, 0, 0), (0, 0, 1e-12)])
def test_of_equal_differences_the_first_is_named(last_digits):
    """Which is the largest would be for the last digit to say, and so for the processor."""
    with pytest.raises(bank.Incorrect) as error:
        bank.expect_close(np.array([0.0, 1, -1, 1, 0, 0]), np.append([0, 0], last_digits + (0,)),
                          case="a case")
    assert "expected 0 at [1], got 1" in str(error.value).replace("1e-12", "0")


@pytest.mark.parametrize("got, complaint", [
    (1 + 0j, "real numbers, got complex"), ([1.0, None], "a list with None in it"),
    (("1", "2"), "a tuple with the text '1' in it")])
def test_what_is_not_all_real_numbers_is_told(got, complaint):
    for ask in (bank.expect_close, bank.as_array):
        with pytest.raises(bank.WrongForm, match=complaint):
            ask(got, **({"want": 1.0} if ask is bank.expect_close else {}), case="a case")


def test_expect_close_keeps_the_scale_of_small_numbers():
    with pytest.raises(bank.Incorrect):
        bank.expect_close(2e-6, 1e-6, case="small")


def test_other_helpers_say_what_came():
    for pair in ([1, 2], (1, 2), np.array([1, 2])):
        assert bank.expect_parts(pair, 2, case="c", what="two") == (1, 2)
    rows = bank.expect_parts(np.eye(2), 2, case="c", what="two")
    assert [row.tolist() for row in rows] == [[1, 0], [0, 1]]
    for call, complaint in [
            (lambda: bank.expect_parts(3, 2, case="c", what="U and V"), "2 values, U and V"),
            (lambda: bank.expect_parts([1], 2, case="c", what="U and V"), "got 1 of them"),
            (lambda: bank.as_array([np.inf], case="c"), "nan or infinity"),
            (lambda: bank.as_array([1.0], case="c", shape=(2,)), "shape (2,)"),
            (lambda: bank.expect(False, "so it is"), "so it is"),
            (lambda: bank.incorrect("so it is"), "so it is")]:
        with pytest.raises(bank.Incorrect, match=complaint.replace("(", r"\(").replace(")", r"\)")):
            call()


def test_html_is_escaped_and_names_no_colour_for_text(small_bank):
    text = verdict_on("def twice(x):\n    return '<script>'")._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert " color:" not in text and "background" not in text


# --- the bank ---------------------------------------------------------------------------------

GOOD = {"kind": "implement", "difficulty": 1, "minutes": 1, "points": 1, "names": ["f"],
        "hints": ["a", "b", "c"]}


@pytest.mark.parametrize("id, title, changes, complaint", [
    ("4.2", "T", {}, "an id is chapter and number"), ("98.5", " ", {}, "title is missing"),
    ("98.5", "T", {"kind": "essay"}, "kind must be one of"),
    ("98.5", "T", {"difficulty": 4}, "difficulty must be"),
    ("98.5", "T", {"minutes": 0}, "minutes must be"), ("98.5", "T", {"points": 1.5}, "points must"),
    ("98.5", "T", {"names": []}, "names must list"), ("98.5", "T", {"names": ["f("]}, "names must"),
    ("98.5", "T", {"hints": ["a", "b"]}, "three hints"),
    ("98.5", "T", {"hints": ["a", "", "c"]}, "three hints"),
    ("98.5", "T", {"followups": [("Why?",)]}, "followups are pairs"),
    ("98.5", "T", {"rows": ["111"]}, "rows are ids"),
    ("98.1", "T", {}, "stands twice"),
])
def test_an_author_is_told_what_is_missing(small_bank, id, title, changes, complaint):
    with pytest.raises(ValueError, match=f"exercise {id}: .*{complaint}|{complaint}"):
        bank.exercise(id, title, **{**GOOD, **changes})(lambda answer, rng: None)


def test_a_choice_needs_reasons_and_an_open_question_a_rubric(small_bank):
    common = {"difficulty": 1, "minutes": 1, "points": 1, "hints": ["a", "b", "c"]}
    with pytest.raises(ValueError, match="reason"):
        bank.choice("98.6", "T", options={"a": "x", "b": ""}, right="a", **common)
    with pytest.raises(ValueError, match="`right` must be"):
        bank.choice("98.6", "T", options={"a": "x", "b": "y"}, right="c", **common)
    with pytest.raises(ValueError, match="rubric"):
        bank.open_question("98.6", "T", rubric=[], **common)


def test_the_real_bank_loads():
    ids = [e.id for e in bank.all_exercises()]
    assert ids == sorted(set(ids), key=bank.sort_key)


# --- what a learner types ---------------------------------------------------------------------


@pytest.mark.parametrize("call", [learner.check, learner.hint, learner.solution, learner.reveal])
def test_an_unknown_exercise_is_told_without_a_traceback(small_bank, call):
    with pytest.raises(learner.CourseError, match="chapter 98 has 98.1, 98.2") as error:
        call("98.77")
    assert error.value._render_traceback_() == [str(error.value)]


def test_check_finds_the_names_of_its_caller(small_course):
    names = names_of(RIGHT)
    exec("from zglearn.course import check\nverdict = check('98.1')", names)
    assert names["verdict"].status == "correct"
    assert [e.data["status"] for e in progress.events("check", "98.1")] == ["correct"]


def test_hints_come_one_at_a_time(small_course):
    said = [repr(learner.hint("98.1")) for _ in range(4)]
    assert said[:3] == ["Hint 1 of 3 for 98.1: nudge", "Hint 2 of 3 for 98.1: formula",
                        "Hint 3 of 3 for 98.1: code"]
    assert "1. nudge" in said[3] and 'solution("98.1")' in said[3]


def test_the_solution_is_shown_on_asking_and_remembered(small_course):
    said = repr(learner.solution("98.1"))
    assert said.endswith('def twice(x):\n    """Two times x."""\n    doubled = x + x\n'
                         "    return doubled")
    assert repr(learner.solution("98.2")).endswith('answer_98_2 = "b"')
    assert len(progress.events("solution")) == 2
    (small_course / "solutions" / "98_fake.ipynb").unlink()
    assert "your instructor has it" in repr(learner.solution("98.1"))
    assert len(progress.events("solution")) == 2
    assert "BEGIN SOLUTION" in ANSWER


def test_an_experiment_waits_for_a_prediction(small_course, capsys):
    with pytest.raises(learner.CourseError, match="Predict first"):
        learner.reveal("98.3")
    assert "No prediction" in repr(learner.predict("98.3", ...))
    for value in ("heads", 3, ["a"], np.array(["a", "b"]), np.array([0.5, 0.4]), np.zeros(0)):
        with pytest.raises(learner.CourseError, match="choose one of 'a', 'b'"):
            learner.predict("98.3", value)
    with pytest.raises(learner.CourseError, match="Predict first"):
        learner.reveal("98.3")
    assert "committed: 'b'" in repr(learner.predict("98.3", "b"))
    learner.reveal("98.3")
    assert "You predicted 'b'. Here is what happens:" in capsys.readouterr().out
    assert [e.data["right"] for e in progress.events("prediction")] == [False]
    with pytest.raises(learner.CourseError, match="asks for no prediction"):
        learner.predict("98.1", 3)


MALFORMED = {"01.6": ["half", (0.5,), (50, 50), 0.5], "04.7": ["1000", -5],
             "05.4": ["up", [1, 2, 3]], "06.7": [[5], "none"], "07.5": ["adam", ["Sgd"]],
             "11.6": ["a half", True], "16.7": ["100 times", -1, float("nan")]}


def test_a_prediction_of_the_wrong_form_is_not_committed():
    """The first prediction is what counts, so a slip of the pen must not be one."""
    for exercise in bank.all_exercises():
        if exercise.kind == "predict":
            for value in MALFORMED.get(exercise.id, ["none of the options"]):
                with pytest.raises(learner.CourseError):
                    print(exercise.id, value, learner.predict(exercise.id, value))
    assert progress.events("prediction") == []


def test_a_prediction_is_shown_as_it_was_made(small_course, capsys):
    @bank.exercise("98.9", "Pair", kind="predict", difficulty=1, minutes=1, points=1,
                   names=["answer_98_9"], hints=["a", "b", "c"])
    def pair(answer, rng):
        answer.value("answer_98_9")

    for value, shown in [([0.9, 0.5], "[0.9, 0.5]"), (7, "7"), ("b", "'b'"),
                         (np.array([0.9, 0.5]), "[0.9, 0.5]"), (np.int64(7), "7"),
                         (np.zeros(0), "[]")]:
        learner.predict("98.9", value)
        learner.reveal("98.9")
        assert f"You predicted {shown}. Here is what" in capsys.readouterr().out


def test_scoring_oneself(small_course):
    assert "2 of 2 lines" in repr(learner.score("98.4", 2))
    assert progress.events("score")[0].data == {"score": 1.0}
    for id, lines in [("98.1", 1), ("98.4", 3), ("98.4", "two"), ("98.4", True)]:
        with pytest.raises(learner.CourseError):
            learner.score(id, lines)


# --- trials -----------------------------------------------------------------------------------


def test_a_trial_shows_the_verdict_and_leaves_the_names_alone(small_bank):
    names, wrong = {"twice": "untouched"}, "def twice(x):\n    return 1"
    assert learner.trial("98.1 right multiplies", RIGHT, names).status == "correct"
    assert learner.trial("98.1 wrong odd", wrong, names).status == "incorrect"
    assert names == {"twice": "untouched"}


def test_a_trial_says_the_same_every_time(small_bank):
    source = "def twice(x):\n    return 1"
    assert len({repr(learner.trial("98.1 wrong odd", source, {})) for _ in range(3)}) == 1


@pytest.mark.parametrize("line, source, complaint", [
    ("98.1 wrong right after all", RIGHT, "'right after all' was accepted"),
    ("98.1 right wrong after all", "def twice(x):\n    return 1", "was not accepted"),
    ("98.1 wrong blank", "twice = ...", "counts as not attempted"),
    ("98.1 perhaps", RIGHT, "write an id"), ("98.8 right x", RIGHT, "no exercise '98.8'"),
])
def test_a_trial_that_goes_against_its_name_fails(small_bank, line, source, complaint):
    with pytest.raises(learner.CourseError, match=complaint):
        learner.trial(line, source, {})


def test_in_a_real_kernel(small_course, monkeypatch):
    """An endless loop is told and the kernel lives; %%trial works; a prediction is waited for."""
    cells = [
        "import small_course\nfrom zglearn.course import check, reveal\n"
        "from zglearn.exercises import exercise\nsmall_course.fill_bank()\nexercise.TIME_LIMIT = 3",
        "def twice(x):\n    while True:\n        pass", 'check("98.1")',
        "%%trial 98.1 right adds\ndef twice(x):\n    return x + x",
        'try:\n    reveal("98.3")\nexcept Exception as error:\n    print(error)',
        "def twice(x):\n    return x + x", 'check("98.1")']
    ran = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                                   metadata=notebooks.METADATA)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    notebooks.execute(ran, small_course / "any.ipynb")
    said = [str(cell.outputs) for cell in ran.cells]
    assert "Still running after 3 seconds" in said[2]
    assert "Correct: 98.1" in said[3] and "Predict first" in said[4] and "Correct: 98.1" in said[6]


def test_the_course_imports_without_ipython_and_numpy():
    code = ("import sys, zglearn.course; "
            "assert not {'IPython', 'numpy', 'nbformat'} & set(sys.modules), sys.modules")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("chosen, key", [
    ("d) `U * s`", "d"), ("**d** `U * s`", "d"), ("Answer: d.", "d"), ("d, a", ""),
    ("d / b / c", ""), ("d or b", ""), ("(d)? or (a)?", ""), ("none", ""), (["d"], ""),
])
def test_a_choice_is_one_letter_whatever_else_its_text_says(chosen, key):
    assert bank.letter(chosen) == key


def test_parts_without_axes_are_numbers_and_a_turned_array_is_called_so():
    assert bank.expect_parts([np.array(0.5), 1], 2, case="x", what="two") == (0.5, 1)
    with pytest.raises(bank.Incorrect, match="a transpose is missing"):
        bank.expect_close(np.ones((2, 3)), np.ones((3, 2)), case="x", usually="the sign")
