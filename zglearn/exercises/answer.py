"""What a check may ask of a learner's answer, and the plain data that travels between the two.

A check never touches the learner's objects. It asks an `Answer`, the `Answer` asks a `Namespace`,
and only plain data comes back: numbers, text, lists, tuples, sets, dicts and plain NumPy arrays,
always copied. `LocalNamespace` is the learner's own kernel; the grader has another one, at the far
end of a socket. Because both speak through `encode` and `decode`, both see the same answer.
"""

from __future__ import annotations

import contextlib
import copy
import io
import linecache
import math
import re
import warnings
from types import FunctionType
from typing import Protocol

import numpy as np

from zglearn.objective import Objective

from .advice import usual_cause
from .limits import TimeIsUp

MAX_BYTES = 64 * 2**20
MAX_ITEMS = 1_000_000
MAX_DEPTH = 32
MAX_INTEGER_BITS = 2048
ASKED_AGAIN = 3  # questions that are put to the first instance of a class once more
MAX_PRINTED = 2000  # characters of the learner's own prints that a verdict shows
MAX_SAID = 300  # characters of an exception's message
DTYPE = re.compile(r"[<>|=]?[biufcU]\d{1,9}")


class NotAttempted(Exception):
    """The answer is still the stub, or its cell has not run yet."""


class AnswerFailed(Exception):
    """The answer could not be asked: it raised, ran too long, or returned what cannot be read.

    `cause` is "error", "timeout" or "refused"; `told` is how much the message explains: "error" if
    it only quotes Python, "usually" if it adds a usual cause, "words" if it is our own.
    """

    def __init__(self, message: str, cause: str = "error", told: str = "words"):
        super().__init__(message)
        self.cause, self.told = cause, told


class NotPlain(TypeError):
    """A value is not plain data, or is too large to travel."""


# --- the codec: plain data <-> (JSON tree, list of array bytes) ------------------------------


def encode(value, callbacks: list | None = None) -> tuple[object, list[bytes]]:
    """Turn plain data into a tree for JSON and a list of raw array bytes. Never pickle.

    With a list `callbacks`, functions and Objectives may travel too: they stay here, are appended
    to the list, and the far side gets their numbers. A random Generator travels as a seed drawn
    from it, so the two never share a state. Raises NotPlain, saying what to return instead.
    """
    return _Encoder(callbacks).run(value)


def decode(tree, buffers: list[bytes], ask=None):
    """Undo `encode`. Every size and type is checked, because the sender may not be trusted.

    ``ask(number, args, kwargs)`` answers a question to callback `number`; without it, callbacks
    are refused. Raises NotPlain.
    """
    try:
        return _decode(tree, buffers, ask, 0)
    except NotPlain:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise NotPlain(f"damaged data: {error}") from None


class _Encoder:
    def __init__(self, callbacks):
        self.callbacks, self.buffers, self.items, self.bytes = callbacks, [], 0, 0

    def run(self, value):
        return self.tree(value, 0), self.buffers

    def tree(self, value, depth):
        self.charge(items=1)
        if depth > MAX_DEPTH:
            raise NotPlain("data nested too deeply")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, np.generic):
            return self.scalar(value, depth)
        if issubclass(kind, int):
            return self.integer(int.__int__(value))
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, complex):
            return {"complex": [value.real, value.imag]}
        if issubclass(kind, str):
            self.charge(size=len(value))
            return str.__str__(value)
        if issubclass(kind, list):
            return [self.tree(v, depth + 1) for v in list.__iter__(value)]
        if issubclass(kind, tuple):
            return {"tuple": [self.tree(v, depth + 1) for v in tuple.__iter__(value)]}
        if issubclass(kind, set | frozenset):
            return {"set": [self.tree(v, depth + 1) for v in kind.__iter__(value)]}
        if issubclass(kind, dict):
            return {"dict": [[self.tree(k, depth + 1), self.tree(v, depth + 1)]
                             for k, v in dict.items(value)]}
        if kind is np.ndarray and value.dtype.kind in "biufcU":
            return self.array(value)
        if kind is np.random.Generator:
            return {"rng": int(value.integers(2**63))}
        if self.callbacks is not None and isinstance(value, Objective):
            grad = self.callback(value.grad) if value.has_gradient else None
            return {"objective": [self.callback(value), grad]}
        if self.callbacks is not None and callable(value):
            return {"function": self.callback(value)}
        raise NotPlain(_advice(value))

    def scalar(self, value, depth):
        if value.dtype.kind not in "biufcU":
            raise NotPlain(_advice(value))
        plain = value.item()
        return self.tree(float(plain) if isinstance(plain, np.generic) else plain, depth)

    def integer(self, value):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise NotPlain(f"a whole number of {value.bit_length()} bits")
        return value

    def array(self, value):
        self.charge(size=value.nbytes)
        self.buffers.append(value.tobytes())
        return {"array": [len(self.buffers) - 1, value.dtype.str, list(value.shape)]}

    def callback(self, function):
        self.callbacks.append(function)
        return len(self.callbacks) - 1

    def charge(self, items=0, size=0):
        self.items += items
        self.bytes += size
        if self.items > MAX_ITEMS or self.bytes > MAX_BYTES:
            raise NotPlain("more data than the check can take")


def _decode(tree, buffers, ask, depth):
    if depth > MAX_DEPTH:
        raise NotPlain("data nested too deeply")
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, list):
        return [_decode(v, buffers, ask, depth + 1) for v in tree]
    if not isinstance(tree, dict) or len(tree) != 1:
        raise NotPlain("damaged data")
    (tag, body), = tree.items()
    if tag in ("tuple", "set"):
        return {"tuple": tuple, "set": _set}[tag](_decode(v, buffers, ask, depth + 1) for v in body)
    if tag == "dict":
        pairs = [[_decode(v, buffers, ask, depth + 1) for v in pair] for pair in body]
        return {_hashable(key): value for key, value in pairs}
    if tag == "complex":
        real, imag = body
        return complex(float(real), float(imag))
    if tag == "array":
        return _array(buffers, *body)
    if tag == "rng" and isinstance(body, int):
        return np.random.default_rng(body)
    if tag == "function" and ask:
        return _function(ask, body)
    if tag == "objective" and ask:
        loss, grad = body
        return Objective(_function(ask, loss), grad=None if grad is None else _function(ask, grad),
                         batched=True)
    raise NotPlain(f"damaged data: {str(tag)[:20]!r}")


def _array(buffers, index, dtype, shape):
    if not DTYPE.fullmatch(dtype) or any(type(n) is not int or n < 0 for n in shape):
        raise NotPlain("damaged array")
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if type(index) is not int or index < 0 or len(buffers[index]) != size:
        raise NotPlain("damaged array")
    return np.frombuffer(buffers[index], dtype).reshape(shape).copy()


def _function(ask, number):
    return lambda *args, **kwargs: ask(number, args, kwargs)


def _set(values):
    return {_hashable(value) for value in values}


def _hashable(value):
    try:
        hash(value)
    except TypeError:
        raise NotPlain("damaged data: a key that cannot be one") from None
    return value


def _advice(value) -> str:
    """What is wrong with a value that cannot travel, and what to return in its place."""
    kind = type(value)
    name = f"{kind.__module__.split('.')[0]}.{kind.__name__}".removeprefix("builtins.")
    if value is ...:
        return "`...`, so the answer is not written yet"
    if kind is np.ndarray:
        return f"an array of {value.dtype}, not of numbers: are its rows of unequal length?"
    if issubclass(kind, np.ndarray):
        return f"a {name}: return a plain array, np.asarray(...)"
    if name.startswith("scipy."):
        return f"a {name}: return a plain array, with .toarray()"
    if name.startswith("torch."):
        return f"a {name}: return a plain array, with .detach().numpy()"
    if hasattr(kind, "__next__") or kind.__name__.startswith(("dict_", "range")):
        return f"a {name}: return its items, list(...)"
    if callable(value):
        return "a function: was it meant to be called?"
    return f"a {name}: return numbers, text, lists, tuples, dicts or plain NumPy arrays"


# --- asking -----------------------------------------------------------------------------------


class Namespace(Protocol):
    """Where a learner's names live. Arguments and results are plain data, copied.

    Arguments may also hold functions and Objectives; these stay with the asker and are called
    back. Every operation raises NotAttempted or AnswerFailed, with a message for the learner.
    A *kept* object (an instance, an iterator) stays with the learner and is known by a number.
    """

    changed: list  # the arguments that the last call changed in place: pairs (position, kind)

    def value(self, name: str, kept: int | None = None):
        """The value of a name, or of an attribute of a kept object."""

    def call(self, name: str, args: tuple, kwargs: dict, kept: int | None = None):
        """Call a name, or a method of a kept object, and return its result."""

    def keep(self, name: str, args: tuple, kwargs: dict) -> int:
        """Call a name and keep the result there: an instance, or an iterator to `take` from."""

    def take(self, kept: int, n: int) -> list:
        """Up to `n` next items of a kept iterator, each copied when it comes."""


class Answer:
    """What a check is given: it asks the learner's names by name, and gets plain data.

    A function must leave its arguments as they are, unless the exercise allows `in_place`: True for
    all of them, or the positions of those that it may change.
    `variant` holds what varies from student to student: see `variants.py`.
    """

    def __init__(self, namespace: Namespace, in_place: bool | tuple = False,
                 variant: dict | None = None):
        self._names, self._in_place, self._first, self._made = namespace, in_place, {}, {}
        self.variant = variant or {}

    def value(self, name: str):
        """The value that the learner gave to `name`; an array without axes comes as its number."""
        value = self._names.value(name)
        return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value

    def call(self, name: str, /, *args, **kwargs):
        """The result of the learner's function `name`."""
        return self._remembered(name, args, kwargs, lambda args, kwargs: self._unchanged(
            name, self._names.call(name, args, kwargs)))

    def iterates(self, name: str, f, x, n: int, /, *, rng=None, **hyper) -> np.ndarray:
        """The first `n` iterates, shape (n, d), of the learner's generator ``name(f, x, ...)``.

        A generator that takes a random source gets `rng` as its third argument. Iterates are
        copied as they come, so a generator that changes x in place is read rightly.
        """
        def first(args, kwargs):
            return self._names.take(self._names.keep(name, args, kwargs), n)

        points = self._remembered(name, (f, x) if rng is None else (f, x, rng), hyper, first)
        if len(points) < n:
            raise AnswerFailed(f"{name} ended after {len(points)} of {n} iterates: a method "
                               "yields its points for ever (a `yield` inside `while True:`), and "
                               "its caller stops it")
        wanted = np.shape(x)
        for t, point in enumerate(points, 1):
            if point is None or np.shape(point) != wanted:
                what = "None" if point is None else f"shape {np.shape(point)}"
                raise AnswerFailed(f"iterate {t} of {name} is {what}, but the start point has "
                                   f"shape {wanted}: yield the new point")
        return np.array(points, dtype=float)

    def make(self, name: str, /, *args, **kwargs) -> Kept:
        """Make an instance of the learner's class, or keep what a function returned."""
        return Kept(self, name, lambda: self._names.keep(name, args, kwargs))

    def ask_again(self) -> None:
        """Put the first question to each name twice more. Raises AnswerFailed if an answer differs:
        it then depends on what was asked before, or on a random source of its own. Of a class the
        first instance is made again, and another one beside it, which is asked in between."""
        again = {name: question.has_the_same_answer for name, question in self._first.items()}
        again |= {name: made[0].is_the_same_beside(made[-1]) for name, made in self._made.items()}
        for name, is_same in again.items():
            if not (is_same() and is_same()):  # twice in a row: what is kept may fit only then
                raise AnswerFailed(
                    f"{name}, asked the same question a second time, does something else. Usual "
                    "cause: something is kept from one use to the next (in a global name, a "
                    "default argument or the class), or drawn from a random source other than the "
                    "one that it is given.", told="usually")

    def _remembered(self, name, args, kwargs, ask):
        """``ask(args, kwargs)``; the first question to each name is kept for `ask_again`."""
        if name in self._first:
            return ask(args, kwargs)
        self._first[name] = question = _Question(ask, args, kwargs)
        return question.answer()

    def _unchanged(self, name, result):
        allowed = self._in_place if isinstance(self._in_place, tuple) else ()
        for place, kind in self._names.changed if self._in_place is not True else ():
            if place not in allowed:
                which = f"{kind} that it was given" + f" as argument {place + 1}" * bool(allowed)
                raise AnswerFailed(f"{name} changed the {which}, and whoever calls it still needs "
                                   "what was there: work on a copy, `.copy()`", told="usually")
        return result


class Kept:
    """A learner's object that stays where it is: call its methods, read its attributes."""

    def __init__(self, answer: Answer, name: str, make):
        self._answer, self._names, self._make, self._questions = answer, answer._names, make, []
        self._number = make()
        self._is_first = name not in answer._made
        answer._made.setdefault(name, []).append(self)

    def call(self, method: str, /, *args, **kwargs):
        def ask(args, kwargs, number=self._number):
            return self._answer._unchanged(method, self._names.call(method, args, kwargs, number))

        if not self._is_first or len(self._questions) == ASKED_AGAIN:
            return ask(args, kwargs)
        self._questions.append(_Question(ask, args, kwargs))
        return self._questions[-1].answer()

    def is_the_same_beside(self, other: Kept):
        """A function that says whether this one, made again, answers its first questions as before,
        even if they are put to a new one like `other` in between."""
        def is_same() -> bool:
            mine, beside = self._make(), other._make()
            for question in self._questions:
                def ask(args, kwargs, ask=question.ask):
                    with contextlib.suppress(AnswerFailed):
                        ask(*copy.deepcopy((args, kwargs)), beside)
                    return ask(args, kwargs, mine)

                question.ask_again = ask
                if not question.has_the_same_answer():
                    return False
            return True

        return is_same

    def value(self, attribute: str):
        return self._names.value(attribute, kept=self._number)

    def __call__(self, *args, **kwargs):
        return self.call("__call__", *args, **kwargs)


class _Question:
    """A question that can be put twice: its data are copied, and what its functions said is said
    again, so that only the learner's side can make a difference."""

    def __init__(self, ask, args, kwargs):
        self.ask = self.ask_again = ask
        self.args, self.kwargs = args, kwargs
        self.said, self.again, self.differs = [], None, False
        self.first = None

    def answer(self):
        args, kwargs = _copied((self.args, self.kwargs))
        self.first = copy.deepcopy(self.ask(*self._with_ears(self.args, self.kwargs)))
        self.args, self.kwargs = args, kwargs
        return self.first

    def has_the_same_answer(self) -> bool:
        self.again = iter(self.said)
        args, kwargs = _copied((self.args, self.kwargs))
        second = self.ask_again(*self._with_ears(args, kwargs))
        return not self.differs and next(self.again, None) is None and _same(self.first, second)

    def _with_ears(self, args, kwargs):
        return (tuple(map(self._ear, args)), {k: self._ear(v) for k, v in kwargs.items()})

    def _ear(self, value):
        if isinstance(value, Objective):
            grad = self._hear(value.grad) if value.has_gradient else None
            return Objective(self._hear(value), grad, batched=True)
        return self._hear(value) if callable(value) else value

    def _hear(self, function):
        def listening(*args, **kwargs):
            if self.again is None:
                asked = copy.deepcopy((args, kwargs))
                self.said.append((asked, function(*args, **kwargs)))
                return self.said[-1][1]
            asked, said = next(self.again, (None, None))
            self.differs |= not _same((args, kwargs), asked)
            return function(*args, **kwargs) if asked is None else said

        return listening


def _copied(question):
    """The data of a question, copied; its functions are the same ones."""
    args, kwargs = question
    return (tuple(v if callable(v) else copy.deepcopy(v) for v in args),
            {key: v if callable(v) else copy.deepcopy(v) for key, v in kwargs.items()})


def _same(one, other) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | float) and isinstance(other, np.ndarray | float):
        one, other = np.asarray(one), np.asarray(other)
        if one.dtype.kind in "fc" and other.dtype.kind in "fc" and one.shape == other.shape:
            return np.allclose(one, other, rtol=1e-6, equal_nan=True)
        return np.array_equal(one, other)
    return one is other or bool(one == other)


class LocalNamespace:
    """The names of the learner's own kernel. What the learner's code prints is kept, bounded."""

    def __init__(self, names: dict):
        self.names, self.kept, self.printed = names, [], BoundedText(MAX_PRINTED)
        self.given: dict[int, list] = {}  # what the methods of a kept object were given
        self.changed = []

    def value(self, name, kept=None):
        return self._copy(name, self._find(name, kept))

    def call(self, name, args, kwargs, kept=None):
        return self._copy(f"{name} returned", self._call(name, args, kwargs, kept))

    def keep(self, name, args, kwargs):
        made = self._call(name, args, kwargs)
        self.kept.append((name, made))
        return len(self.kept) - 1

    def take(self, kept, n):
        name, iterator = self.kept[kept]
        if not hasattr(iterator, "__next__") and hasattr(iterator, "__iter__"):
            iterator = self._guarded(name, lambda: iter(self.kept[kept][1]))
            self.kept[kept] = name, iterator
        if not hasattr(iterator, "__next__"):
            raise AnswerFailed(f"{name} gives no iterates: `yield` each new point")
        items = []
        while len(items) < n:
            try:
                items.append(self._copy(f"{name} yielded",
                                        self._guarded(name, iterator.__next__, StopIteration)))
            except StopIteration:
                break
        return items

    def _find(self, name, kept=None):
        if kept is not None:
            _, owner = self.kept[kept]
            found = self._guarded(name, lambda: getattr(owner, name, self))
            if found is self:
                raise AnswerFailed(f"a {type(owner).__name__} has no {name!r}")
            return found
        if name not in self.names:
            raise NotAttempted(f"There is no `{name}` yet: run the answer cell first "
                               "(a restarted kernel has forgotten it)")
        found = self.names[name]
        if found is ...:
            raise NotAttempted(f"`{name}` is still `...`: put your answer there")
        if isinstance(found, FunctionType | type) and str(found.__module__).startswith("zglearn."):
            raise NotAttempted(f"`{name}` is the course's own: write yours in the answer cell")
        return found

    def _call(self, name, args, kwargs, kept=None):
        function = self._find(name, kept)
        if not callable(function):
            raise AnswerFailed(f"`{name}` is {_short(function)}, not a function that can be called")
        args, kwargs = self._arguments(args, kwargs)
        now = [*args, *kwargs.values()]
        earlier = [] if kept is None else self.given.setdefault(kept, [])
        calls = [now, *earlier]
        before = [[_frozen(value) for value in call] for call in calls]
        result = self._guarded(name, lambda: function(*args, **kwargs))
        self.changed = [(i, "earlier " * (call is not now) + _kind_of(value))
                        for call, was in zip(calls, before, strict=True)
                        for i, value in enumerate(call) if _frozen(value) != was[i]]
        earlier[1:] = [now]  # the first and the latest: what an object keeps, it kept from there
        return result

    def _arguments(self, args, kwargs):
        """The arguments as the learner's code gets them: copies, and functions that ask back."""
        callbacks = []

        def ask(number, args, kwargs):
            args, kwargs = decode(*encode((args, kwargs)))
            return decode(*encode(callbacks[number](*args, **kwargs)))

        return decode(*encode((args, kwargs), callbacks), ask)

    def _guarded(self, name, function, *passed):
        """Call the learner's code: nothing that it raises or prints gets out, but for `passed`."""
        try:
            with contextlib.redirect_stdout(self.printed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function()
        except (TimeIsUp, KeyboardInterrupt, *passed):
            raise
        except NotImplementedError:
            raise NotAttempted(f"`{name}` still raises NotImplementedError: put your code there, "
                               "and remove that line") from None
        except BaseException as error:
            message, told = self._describe(name, error)
            raise AnswerFailed(message, told=told) from None

    def _describe(self, name, error):
        text = f"{name} raised {described(error)}"
        line = _own_line(error.__traceback__, self.names)
        if not line and isinstance(error, TypeError) and f"{name}()" in str(error):
            return f"{text}. Keep the arguments as the task gives them.", "usually"
        text += f" (line {line})" if line else ""
        if cause := usual_cause(described(error)):
            return f"{text}. Usual cause: {ended(cause)}", "usually"
        return text, "error"

    def _copy(self, name, value):
        try:
            return decode(*encode(value))
        except NotPlain as error:
            if value is ...:
                raise NotAttempted(f"{name} `...`: put your answer there") from None
            raise AnswerFailed(f"{name} {error}" if " " in name else f"`{name}` is {error}",
                               "refused") from None


def _frozen(value):
    """What an argument holds, to see later whether it was changed; None for functions."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, list | tuple):
        return [_frozen(part) for part in value]
    if isinstance(value, dict):
        return [(key, _frozen(part)) for key, part in value.items()]
    return repr(value) if isinstance(value, int | float | complex | str | set) else None


def _kind_of(value) -> str:
    return "array" if isinstance(value, np.ndarray) else type(value).__name__


def ended(sentence: str) -> str:
    """The sentence with one stop, or question mark, at its end."""
    return sentence if sentence.endswith("?") else sentence.rstrip(".") + "."


def described(error: BaseException) -> str:
    """The type and the message of an exception, even of one whose own code fails."""
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_SAID]
    except Exception:
        return "an exception that cannot be shown"


def _own_line(traceback, names) -> str:
    """The innermost line of the learner's own code, as "3: `x = x / 0`"."""
    line = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if traceback.tb_frame.f_globals is names:
            source = linecache.getline(code.co_filename, traceback.tb_lineno).strip()
            line = f"{traceback.tb_lineno}: `{source}`" if source else str(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _short(value) -> str:
    text = repr(value) if isinstance(value, int | float | str) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


class BoundedText(io.TextIOBase):
    """A text stream that keeps the first `limit` characters and drops the rest."""

    def __init__(self, limit: int):
        self.limit, self.parts, self.size = limit, [], 0

    def writable(self):
        return True

    def write(self, text):
        if self.size < self.limit:
            self.parts.append(text[: self.limit - self.size])
        self.size += len(text)
        return len(text)

    def __str__(self):
        return "".join(self.parts) + ("\n[...]" if self.size > self.limit else "")
