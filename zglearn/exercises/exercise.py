"""The bank of exercises: how an author writes one, and how its check comes to a verdict.

A bank module, `zglearn/exercises/bank/ch04_momentum.py`, holds one chapter:

    from zglearn.exercises.exercise import choice, exercise, expect, expect_close

    @exercise("04.2", "One method, three conventions", kind="implement", difficulty=2, minutes=10,
              points=3, names=["heavy_ball"], rows=["R111", "E38"],
              hints=["a nudge", "the formula", "the skeleton"],
              followups=[("Why does ...?", "what a good answer says")])
    def heavy_ball(answer, rng):
        x, g = rng.normal(size=(2, 5))
        expect_close(answer.call("heavy_ball", x, g, lr=0.1), x - 0.1 * g,
                     case="one step from a random point",
                     mistakes={"the sign of the step is flipped": x + 0.1 * g},
                     usually="the learning rate multiplies something else")

The check is given an `Answer` and a fresh random Generator. It asks the answer (`value`, `call`,
`iterates`, `make`: see `answer.py`) and says what it expects with the helpers below; a check that
returns has accepted the answer. The same check runs in the learner's kernel and in the grader.
Checks compare what a method does, never in which order it draws its random numbers.
"""

from __future__ import annotations

import html
import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from . import variants
from .answer import Answer, AnswerFailed, LocalNamespace, Namespace, NotAttempted, ended
from .limits import TimeIsUp, bounded
from .renumbered import new_id
from .replay import Replay

KINDS = ("concept", "derive", "implement", "debug", "predict")
STATUSES = ("correct", "incorrect", "not_attempted", "answered")
MIN_WORDS = 25
TIME_LIMIT = 10  # seconds for one check
FLOAT32 = 4 * 2**-23  # what a few operations in single precision may be off, relatively
TOO_LONG = ("Still running after {} seconds, so it was stopped. Is there a loop that never ends, "
            "or a generator's loop that never reaches its `yield`?")


class Incorrect(Exception):
    """Raised inside a check: the answer is wrong, and the message says why.

    `told` is how much it says: "mistake", which one was made; "usually", the usual cause; "words",
    something of the check's own; "bare", only what was expected and what came.
    """

    def __init__(self, message: str, told: str = "words"):
        super().__init__(message)
        self.told = told


class WrongForm(Incorrect):
    """It is not even of the form that was asked for: as a prediction it does not count."""


# --- what an author writes --------------------------------------------------------------------


@dataclass(frozen=True)
class Exercise:
    """One exercise of the bank. Use `exercise`, `choice` or `open_question` to make one."""

    id: str
    title: str
    kind: str
    difficulty: int
    minutes: int
    points: int
    names: tuple[str, ...]
    hints: tuple[str, str, str]
    followups: tuple[tuple[str, str], ...]
    rows: tuple[str, ...]
    check: Callable
    rubric: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    in_place: bool | tuple[int, ...] = False
    variants: tuple[dict, ...] = field(default=(), hash=False)
    replay: Replay | None = field(default=None, hash=False)

    @property
    def chapter(self) -> str:
        return self.id[:2]

    @property
    def is_open(self) -> bool:
        """Whether a person scores it, against the rubric."""
        return bool(self.rubric)

    @property
    def line(self) -> str:
        """What stands under the title in the notebook."""
        points = f"{self.points} point" + "s" * (self.points != 1)
        minutes = f"{self.minutes} minute" + "s" * (self.minutes != 1)
        difficulty = f"difficulty {self.difficulty} of 3"
        return " · ".join((self.kind.capitalize(), minutes, points, difficulty))


def exercise(id: str, title: str, *, kind: str, difficulty: int, minutes: int, points: int,
             names: Iterable[str], hints: Iterable[str], followups=(), rows=(),
             in_place: bool | tuple[int, ...] = False, variants: Iterable[dict] = (),
             replay: Replay | None = None):
    """Register the decorated function ``check(answer, rng)`` as an exercise.

    Parameters
    ----------
    id : "04.2": chapter and number
    kind : "concept", "derive", "implement", "debug" or "predict"
    difficulty : 1, 2 or 3
    minutes, points : whole numbers
    names : what the answer cell must define, the most important first
    hints : three texts: a nudge, the formula, the skeleton
    followups : pairs (why-question, what a good answer says)
    rows : ids of the coverage and errata tables that this exercise serves
    in_place : whether its functions may change the arrays that they are given, or the positions of
        the arguments that they may change
    variants : what may differ from student to student, the course's own first: see `variants.py`
    replay : how a method's path is laid beside the solution's: see `replay.py`

    Raises ValueError, naming the exercise, for whatever of this is missing or malformed.
    """

    def register(check):
        _register(Exercise(id, title, kind, difficulty, minutes, points, tuple(names),
                           tuple(hints), tuple(followups), tuple(rows), check,
                           in_place=in_place, variants=tuple(variants), replay=replay))
        return check

    return register


def choice(id: str, title: str, *, options: dict[str, str], right: str, difficulty: int,
           minutes: int, points: int, hints: Iterable[str], followups=(), rows=(),
           kind: str = "concept") -> None:
    """Register a multiple-choice exercise; the learner sets ``answer_04_1 = "b"``.

    `options` gives each letter what is said to a learner who chose it: for the wrong ones why
    they are wrong, for the right one why it is right. The options' own text stands in the
    notebook. For a prediction use ``kind="predict"``.
    """
    name = answer_name(id)
    if right not in options or len(options) < 2:
        raise ValueError(f"exercise {id}: `right` must be one of at least two options")
    if not all(isinstance(why, str) and why.strip() for why in options.values()):
        raise ValueError(f"exercise {id}: every option needs its reason, the right one too")

    def check(answer, rng):
        key = letter(answer.value(name))
        if key not in options:
            raise WrongForm(f"choose one of {', '.join(map(repr, options))}, for example "
                            f'`{name} = "{next(iter(options))}"`')
        key = answer.variant[key]
        if key != right:
            raise Incorrect(options[key])
        return options[right]

    _register(Exercise(id, title, kind, difficulty, minutes, points, (name,), tuple(hints),
                       tuple(followups), tuple(rows), check, options=tuple(options)))


def letter(chosen) -> str:
    """The letter of a choice, however it is dressed: "b" of " (B)" and of "b) the second one"; ""
    of several letters, such as "b, c"."""
    said = chosen.lower() if isinstance(chosen, str) else ""
    said = re.sub(r"^\W*+(?:option|answer)\b", "", said)
    if re.fullmatch(r"\W*+[a-f](?:\W++(?:(?:or|and|perhaps|maybe)\W++)*[a-f])+\W*", said):
        return ""
    found = re.fullmatch(r"\W*+([a-z])(?:\s*+[^\w\s].*|\s*)", said, re.S)
    return found[1] if found else ""


def open_question(id: str, title: str, *, rubric: Iterable[str], difficulty: int, minutes: int,
                  points: int, hints: Iterable[str], followups=(), rows=(),
                  min_words: int = MIN_WORDS) -> None:
    """Register a question that is answered in prose: ``answer_17_3 = \"\"\"...\"\"\"``.

    No program can mark it. The check only sees that there is an answer (text, `min_words` words,
    not the same few again and again), then shows the `rubric`, one line a criterion, to score
    oneself against; the model answer is the notebook's solution.
    """
    name, rubric = answer_name(id), tuple(rubric)
    if not rubric:
        raise ValueError(f"exercise {id}: an open question needs a rubric")

    def check(answer, rng):
        text = answer.value(name)
        if not isinstance(text, str):
            raise Incorrect("answer in words: a text between triple quotes")
        if not text.strip():
            raise NotAttempted(f"`{name}` is empty")
        words = re.findall(r"[^\W\d_]{2,}", text.lower())
        if len(words) < min_words:
            raise Incorrect(f"too short to judge ({len(words)} of at least {min_words} words): "
                            "give the reason too")
        if len(set(words)) < min_words // 2:
            raise Incorrect("the same few words are repeated: write an answer that a reader "
                            "could learn from")
        return (f'Compare with `solution("{id}")`, then score yourself: `score("{id}", 2)` if your '
                "answer says two of these lines.")

    _register(Exercise(id, title, "concept", difficulty, minutes, points, (name,), tuple(hints),
                       tuple(followups), tuple(rows), check, rubric))


def answer_name(id: str) -> str:
    """The name of a one-value answer: "04.1" -> "answer_04_1"."""
    return "answer_" + id.replace(".", "_")


# --- the registry -----------------------------------------------------------------------------

_bank: dict[str, Exercise] = {}


def find(id: str) -> Exercise:
    """The exercise of that id. Raises KeyError with a message that says which there are."""
    load(str(id)[:2])
    if id not in _bank:
        near = [known for known in sorted(_bank, key=sort_key) if known[:2] == str(id)[:2]]
        there = f"chapter {str(id)[:2]} has {', '.join(near)}" if near else 'ids look like "04.2"'
        if (now := new_id(str(id))) != id:
            there = f"in 0.1.0 it was what is {now} now"
        raise UnknownExercise(f"there is no exercise {id!r}: {there}")
    return _bank[id]


def all_exercises(chapter: str = "") -> list[Exercise]:
    """All exercises of the bank, or of one chapter ("04"), in order."""
    load(chapter)
    return [_bank[id] for id in sorted(_bank, key=sort_key) if id.startswith(chapter)]


def load(chapter: str = "") -> None:
    """Import the bank modules of a chapter ("04"), or all of them."""
    from . import bank, sealed

    for name in sealed.names(bank):
        if name.startswith(f"ch{chapter}"):
            importlib.import_module(f"{bank.__name__}.{name}")


def sort_key(id: str) -> tuple[int, int]:
    chapter, number = id.split(".")
    return int(chapter), int(number)


class UnknownExercise(KeyError):
    """No exercise has that id."""

    def __str__(self):
        return self.args[0]


def _register(exercise: Exercise) -> None:
    wrong = _complaint(exercise)
    if wrong:
        raise ValueError(f"exercise {exercise.id}: {wrong}")
    if exercise.id in _bank:
        raise ValueError(f"exercise {exercise.id} stands twice in the bank")
    _bank[exercise.id] = exercise


def _complaint(e: Exercise) -> str:
    if not isinstance(e.id, str) or not re.fullmatch(r"\d\d\.[1-9]\d?", e.id):
        return 'an id is chapter and number, like "04.2"'
    if not e.title.strip():
        return "the title is missing"
    if e.kind not in KINDS:
        return f"kind must be one of {', '.join(KINDS)}, not {e.kind!r}"
    if e.difficulty not in (1, 2, 3):
        return f"difficulty must be 1, 2 or 3, not {e.difficulty!r}"
    for what in ("minutes", "points"):
        value = getattr(e, what)
        if type(value) is not int or value < 1:
            return f"{what} must be a whole number of at least 1, not {value!r}"
    if not e.names or not all(isinstance(n, str) and n.isidentifier() for n in e.names):
        return "names must list what the answer cell defines"
    if len(e.hints) != 3 or not all(isinstance(h, str) and h.strip() for h in e.hints):
        return "it needs three hints: a nudge, the formula, the skeleton"
    if not all(len(pair) == 2 and all(pair) for pair in e.followups):
        return "followups are pairs (question, what a good answer says)"
    if any(given.keys() != e.variants[0].keys() for given in e.variants):
        return "all variants name the same values"
    if not all(re.fullmatch(r"[RE]\d+", row) for row in e.rows):
        return 'rows are ids such as "R111" or "E38"'
    return ""


# --- what a check says ------------------------------------------------------------------------


def incorrect(message: str):
    """Say that the answer is wrong, and why."""
    raise Incorrect(message)


def expect(condition, message: str) -> None:
    """Say `message` unless the condition holds. The message names the case and what came."""
    if not condition:
        raise Incorrect(message)


def expect_form(condition, message: str) -> None:
    """Say `message` unless the answer has the form that was asked for: a number, say."""
    if not condition:
        raise WrongForm(message)


def expect_close(got, want, *, case: str, usually: str = "", mistakes: dict | None = None,
                 start=None, rtol: float = 1e-5, atol: float = 1e-8) -> None:
    """Expect a number or an array to equal `want` within rtol of its largest entry, plus atol.

    The default is wide enough for float32. With `start`, where a step began, the tolerance is
    relative to the step (and to float32's rounding of where it leads), not to the weights.
    `mistakes` maps the description of a known mistake to the value it would give, and a learner who
    made it is told exactly that; otherwise they are told `usually`, the usual cause.
    """
    want = np.asarray(want)
    value = _numbers(got, case)
    if value.shape != want.shape and not value.size == want.size == 1:
        turned = value.shape == want.shape[::-1]
        raise _unequal(f"{case}: expected {_shape(want)}, got {_shape(value)}.",
                       not turned and usually or _shape_cause(value.shape, want.shape))
    value = value.reshape(want.shape)
    if start is not None:
        atol = FLOAT32 * _size(want) + rtol * _size(want - start)
        rtol = 0
    if _close(value, want, rtol, atol):
        return
    for mistake, outcome in (mistakes or {}).items():
        outcome = np.asarray(outcome)
        if (outcome.shape == want.shape and _close(value, outcome, rtol, atol)
                and _size(value - outcome) <= 0.1 * _size(outcome - want)):
            raise Incorrect(f"{case}: {_difference(value, want)}. It looks as if {mistake}.",
                            "mistake")
    raise _unequal(f"{case}: {_difference(value, want)}.", usually)


def expect_parts(got, count: int, *, case: str, what: str) -> tuple:
    """Expect `count` things together, such as ``return U, V``, and give them back as a tuple.

    An array is as good as a list: its rows, or its numbers, are the things. An array without axes
    comes as its number.
    """
    if isinstance(got, np.ndarray) and got.ndim:
        got = list(got) if got.ndim > 1 else got.tolist()
    if not isinstance(got, list | tuple) or len(got) != count:
        came = f"{len(got)} of them" if isinstance(got, list | tuple) else _kind(got)
        raise WrongForm(f"{case}: expected {count} values, {what}, but got {came}: give that many, "
                        "with commas between them.")
    return tuple(part.item() if isinstance(part, np.ndarray) and part.ndim == 0 else part
                 for part in got)


def as_array(got, *, case: str, shape: tuple | None = None,
             nan: str = "Look for a division by zero or a step that is too long.") -> np.ndarray:
    """`got` as an array of finite numbers, of `shape` if it is given, or say what came instead;
    `nan` says where nan may come from."""
    value = _numbers(got, case)
    if shape is not None and value.shape != tuple(shape):
        wanted = _shape(np.empty(shape))
        raise WrongForm(f"{case}: expected {wanted}, got {_shape(value)}. Usual cause: "
                        f"{_shape_cause(value.shape, tuple(shape))}.", "usually")
    if not np.isfinite(value).all():
        raise Incorrect(f"{case}: the result holds nan or infinity. {nan}", "usually")
    return value


def as_number(got, *, case: str) -> float:
    """`got` as one finite number, also from an array of one entry, or say what came instead."""
    value = as_array(got, case=case)
    expect_form(value.size == 1, f"{case}: return one number.")
    return value.item()


def watched(loss: Callable) -> tuple[Callable, list[np.ndarray]]:
    """The loss, and the list of the points at which it was asked."""
    asked: list[np.ndarray] = []

    def watching(x):
        asked.append(np.array(x, dtype=float))
        return loss(asked[-1])

    return watching, asked


def expect_asked(asked, wanted, *, case: str, what: str = "the loss") -> None:
    """Expect the points `asked` (see `watched`) to be those `wanted`, in any order."""
    left = [np.asarray(point, dtype=float) for point in wanted]
    for point in map(np.asarray, asked):
        near = [i for i, w in enumerate(left) if w.shape == point.shape and _near(point, w)]
        if not near:
            again = any(w.shape == point.shape and _near(point, w) for w in map(np.asarray, wanted))
            expect(not again, f"{case}: {what} was asked at {_point(point)} more often than the "
                   f"task says: {len(asked)} times in all, expected {len(wanted)}.")
            incorrect(f"{case}: {what} was asked at {_point(point)}, where the task does not ask "
                      f"it. The nearest that it does: {_point(_nearest(point, wanted))}.")
        del left[near[0]]
    expect(not left, f"{case}: {what} was never asked at {_point(left[0]) if left else ''}; it was "
           f"asked {len(asked)} times in all, expected {len(wanted)}.")


def expect_pairs(asked, x, pairs: int, *, case: str, what: str = "the loss") -> np.ndarray:
    """Expect the points `asked` to be x + s and x − s for `pairs` steps s; the s, (pairs, d)."""
    expect(len(asked) == 2 * pairs, f"{case}: {what} was asked {len(asked)} times, expected "
           f"{2 * pairs}: twice for each direction.")
    x = np.asarray(x)
    for point in asked:
        expect(np.shape(point) == x.shape, f"{case}: {what} was asked at a point of shape "
               f"{np.shape(point)}, and x has shape {x.shape}.")
    steps = np.array(asked).reshape(len(asked), -1) - x.ravel()
    length = np.abs(steps).max(axis=1)
    slack = 1e-6 * length + np.minimum(FLOAT32 * _size(x), 1e-3 * length)
    # Along a line that tells the steps apart, the i-th from one end is opposite to the i-th from
    # the other.
    order = np.argsort(steps @ np.cos(np.arange(x.size)))
    opposite = np.empty_like(order)
    opposite[order] = order[::-1]
    if (np.abs(steps + steps[opposite]).max(axis=1) <= slack).all():
        return steps[np.arange(len(steps)) < opposite].reshape(pairs, *x.shape)
    alone = next((i for i, s in enumerate(steps)
                  if not (np.abs(steps + s).max(axis=1) <= slack[i]).any()), None)
    if alone is None:
        incorrect(f"{case}: {what} was asked at one side of x = {_point(x)} more often than at the "
                  "other.")
    incorrect(f"{case}: {what} was asked at {_point(asked[alone])}, and not at the point opposite "
              f"to it, seen from x = {_point(x)}.")


def _near(point, other) -> bool:
    return _size(point - other) <= 1e-6 * _size(other) + 1e-12


def _nearest(point, wanted):
    return min(map(np.asarray, wanted), key=lambda w: np.inf if w.shape != point.shape
               else _size(point - w))


def _point(point) -> str:
    point = np.asarray(point)
    return _text(point, 4) if point.size <= 4 and point.ndim < 2 else (
        f"[{', '.join(f'{v:.4g}' for v in point.ravel()[:3])}, …]")


def _numbers(got, case) -> np.ndarray:
    if got is None:
        raise Incorrect(f"{case}: nothing came back (None). Is the `return` missing?", "usually")
    try:
        value = np.asarray(got)
    except ValueError:
        value = np.asarray(None)
    if value.dtype.kind not in "biufc":
        raise WrongForm(f"{case}: expected numbers, got {_kind(got)}. Usual cause: what is "
                        "returned is not what was computed.", "usually")
    if value.dtype.kind == "c":
        raise WrongForm(f"{case}: expected real numbers, got complex ones. Usual cause: a power of "
                        "a negative number, or `np.linalg.eig`. Where the imaginary parts are 0, "
                        "give the real parts.", "usually")
    return value


def _size(value) -> float:
    """The largest finite entry."""
    value = np.asarray(value)
    return float(np.max(np.abs(value[np.isfinite(value)]), initial=0))


def _close(value, want, rtol, atol) -> bool:
    scale = _size(want)
    with np.errstate(invalid="ignore"):
        same = (np.abs(value - want) <= rtol * scale + atol) | (value == want)
        return bool((same | (np.isnan(value) & np.isnan(want))).all())


def _difference(value, want) -> str:
    if want.ndim == 0 or want.size <= 4 and want.ndim == 1:
        return "expected {}, got {}".format(*_told_apart(want, value))
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(value - want), nan=np.inf)
    tied = gap >= (1 - 1e-6) * gap.max()  # which of equals is largest is for the last digit to say
    worst = np.unravel_index(np.argmax(tied), want.shape)
    place = ", ".join(map(str, worst))
    expected, came = _told_apart(want[worst], value[worst])
    return f"expected {expected} at [{place}], got {came} (the largest difference of {want.size})"


def _told_apart(want, value) -> tuple[str, str]:
    """Two numbers, or two short rows, as texts: with as many digits as tell them apart."""
    for digits in range(4, 18):
        texts = tuple(_text(v, digits) for v in (want, value))
        if len(set(texts)) == 2:
            break
    return texts


def _text(value, digits) -> str:
    if np.ndim(value) == 0:
        return f"{np.asarray(value).item():.{digits}g}"
    return "[" + ", ".join(f"{v:.{digits}g}" for v in np.asarray(value).tolist()) + "]"


def _shape(value) -> str:
    return "a single number" if value.ndim == 0 else f"shape {value.shape}"


def _shape_cause(came: tuple, wanted: tuple) -> str:
    if len(came) < len(wanted):
        return "an index, a sum or a mean takes an axis away, or something else is returned"
    if len(came) > len(wanted):
        return "an axis is left that should be summed over or indexed away"
    if came == wanted[::-1]:
        return "a transpose is missing, or one too many"
    return "an array is cut, joined or multiplied along another axis, or at another place"


def _kind(got) -> str:
    if got is None:
        return "None"
    if isinstance(got, list | tuple):
        odd = next((part for part in got if part is None or isinstance(part, str)), got)
        if odd is not got:
            return f"a {type(got).__name__} with {_kind(odd)} in it"
    if isinstance(got, list | tuple) and any(isinstance(part, np.ndarray) for part in got):
        shapes = ", ".join(str(np.shape(p)) if isinstance(p, np.ndarray) else type(p).__name__
                           for p in got[:4])
        return f"a {type(got).__name__} whose parts have unequal shapes: {shapes}"
    return f"the text {got[:40]!r}" if isinstance(got, str) else f"a {type(got).__name__}"


def _unequal(message, usually) -> Incorrect:
    if not usually:
        return Incorrect(message, "bare")
    return Incorrect(f"{message} Usual cause: {ended(usually)}", "usually")


# --- the verdict ------------------------------------------------------------------------------

LABEL = {"correct": "Correct", "incorrect": "Not yet", "not_attempted": "Not attempted",
         "answered": "Answered"}
COLOUR = {"correct": "#0072b2", "incorrect": "#d55e00", "not_attempted": "#888888",
          "answered": "#0072b2"}


@dataclass(frozen=True)
class Verdict:
    """What a check says. `status` is "correct", "incorrect", "not_attempted", or, for an open
    question, "answered"; `cause` is "", "error", "timeout" or "refused". An incorrect answer may be
    `malformed`: not of the form that was asked for. `told` is how much the message explains: see
    `Incorrect`, and "error" for an error of Python's."""

    exercise: Exercise
    status: str
    message: str = ""
    cause: str = ""
    printed: str = ""
    malformed: bool = False
    told: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in ("correct", "answered")

    def __repr__(self) -> str:
        lines = [f"{LABEL[self.status]}: {self.exercise.id} {self.exercise.title}", self.message]
        if self.status == "answered":
            lines += [f"  [ ] {line}" for line in self.exercise.rubric]
        if self.accepted:
            lines += [f"Follow-up: {question}" for question, _ in self.exercise.followups]
        if self.printed:
            lines += ["Your code printed:", self.printed.rstrip()]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        return framed("".join(self.parts()), COLOUR[self.status])

    def parts(self) -> list[str]:
        """Its pieces of HTML, one below the other."""
        e = self.exercise
        parts = [f"<b>{LABEL[self.status]}</b> · {e.id} {html.escape(e.title)}"]
        if self.message:
            parts.append(f"<div>{inline_code(self.message)}</div>")
        if self.status == "answered":
            parts.append("<ul>" + "".join(f"<li>{inline_code(r)}</li>" for r in e.rubric) + "</ul>")
        if self.accepted:
            parts += [f"<details><summary>Follow-up: {inline_code(question)}</summary>"
                      f"{inline_code(good)}</details>" for question, good in e.followups]
        if self.printed:
            parts.append(f"<div>Your code printed:</div><pre>{html.escape(self.printed)}</pre>")
        return parts


def framed(body: str, colour: str = "#888888") -> str:
    """HTML with a coloured edge and the page's own text colour: legible in light and dark."""
    return f'<div style="border-left: 4px solid {colour}; padding: 0.2em 0.8em">{body}</div>'


def inline_code(text: str) -> str:
    """Escaped for HTML, with `backquoted` parts as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def judge(exercise: Exercise, names: Namespace, seed=None, seconds=None,
          whose: str | None = None) -> Verdict:
    """Run a check on the names of a learner, wherever these live. `seed` makes it repeatable;
    `seconds` is what the caller allows (TIME_LIMIT), for the message; `whose` is the seed of the
    student's variants, by default the learner's own."""
    def verdict(status, message="", cause="", malformed=False, told=""):
        printed = "" if status == "correct" else str(getattr(names, "printed", ""))
        return Verdict(exercise, status, message, cause, printed, malformed, told)

    try:
        mine = variants.mine(exercise.chapter) if whose is None else whose
        answer = Answer(names, exercise.in_place, variants.of(exercise, mine))
        said = exercise.check(answer, np.random.default_rng(seed))
        answer.ask_again()
    except NotAttempted as reason:
        return verdict("not_attempted", str(reason))
    except Incorrect as reason:
        return verdict("incorrect", str(reason), malformed=isinstance(reason, WrongForm),
                       told=reason.told)
    except AnswerFailed as reason:
        return verdict("incorrect", str(reason), reason.cause, told=reason.told)
    except TimeIsUp:
        return verdict("incorrect", TOO_LONG.format(f"{seconds or TIME_LIMIT:g}"), "timeout",
                       told="usually")
    except Exception as error:
        return verdict("incorrect", "The check cannot use what your answer gave "
                       f"({type(error).__name__}: {error}). Does it return what the task asks for?",
                       "error", told="error")
    return verdict("answered" if exercise.is_open else "correct", said or "")


def judge_names(exercise: Exercise, names: dict, seed=None) -> Verdict:
    """Run a check on a dict of names, within the time limit."""
    space = LocalNamespace(names)
    try:
        return bounded(lambda: judge(exercise, space, seed), TIME_LIMIT)
    except TimeIsUp:  # `judge` was interrupted again before it could say so itself
        return Verdict(exercise, "incorrect", TOO_LONG.format(TIME_LIMIT), "timeout",
                       str(space.printed), told="usually")
