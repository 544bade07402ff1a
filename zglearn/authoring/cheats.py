"""Wrong answers that no small change makes, each kind tried on every exercise where it makes sense.

A cheat wraps the course's own answer. `CHEATS` is the table: each is given what the answer cell
defines (the exercise's functions, generators and classes) and yields pairs of a name and what to
put in their place.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator

import numpy as np

from zglearn.exercises.exercise import Exercise, judge_names
from zglearn.objective import Objective

# What somebody writes who does not use the parameter that was given.
USUAL = {"lr": 0.01, "beta": 0.9, "beta1": 0.9, "beta2": 0.999, "eps": 0.0, "rho": 0.9,
         "sigma": 0.1, "weight_decay": 0.0, "ridge": 0.0, "temperature": 1.0, "T": 1.0,
         "steps": 100, "epochs": 100, "max_steps": 100, "population": 10, "pairs": 1, "q": 1,
         "patience": 3, "budget": 100, "c": 0.5, "k": 1, "n": 1, "r": 1}
DATA = ("x", "y", "X", "g", "p", "w", "self", "rng", "seed")

touched: list[str] = []  # what a cheat really changed while it was asked; else it is no cheat here


def did_something(cheat: str) -> bool:
    """Whether the cheat came into play in the calls so far: a number was there to be ignored."""
    return bool(touched) or not cheat.startswith(("changes its input", "ignores "))


def cheats(exercise: Exercise, names: dict) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Pairs (name, function that returns the changed names), for an exercise's own answer."""
    for name in exercise.names:
        if callable(names.get(name)):
            for make in CHEATS:
                for label, changed in make(exercise, names, name):
                    yield label if len(exercise.names) == 1 else f"{label}, in {name}", changed


def _counts_its_calls(exercise, names, name):
    """It says what was right for other numbers, in the same order."""
    def changed():
        given, answer = [], names[name]
        if inspect.isgeneratorfunction(answer) or isinstance(answer, type):
            return names

        @functools.wraps(answer)
        def recording(*args, **kwargs):
            given.append(answer(*args, **kwargs))
            return given[-1]

        judge_names(exercise, names | {name: recording}, seed=10_000)
        said = iter(given)
        return names | {name: _like(answer, lambda *a, **k: copy.copy(next(said, given[-1])))}

    if _is_plain(names[name]):
        yield "counts its calls only", changed


def _changes_its_input(exercise, names, name):
    def wrong(function):
        def call(*args, **kwargs):
            result = copy.deepcopy(function(*args, **kwargs))
            for given in (*args, *kwargs.values()):
                _spoil(given)
            return result
        return call

    if _is_plain(names[name]) and not exercise.in_place:
        yield "changes its input", lambda: names | {name: _like(names[name], wrong(names[name]))}


def _spoil(given):
    if isinstance(given, np.ndarray) and given.dtype.kind in "if" and given.size:
        given.flat[-1] += 1
        touched.append("an array")
    elif isinstance(given, list) and given:
        given.append(given[0])
        touched.append("a list")
    elif isinstance(given, dict) and given:
        given.clear()
        touched.append("a dict")
    elif isinstance(given, tuple):
        for part in given:
            _spoil(part)


def _keeps_a_state(exercise, names, name):
    """Something is carried from one use to the next: in a global, a default, or the class."""
    answer = names[name]
    if isinstance(answer, type):
        def shared():
            class Shared(answer):
                _state: dict = {}

                def __init__(self, *args, **kwargs):
                    super().__init__(*args, **kwargs)
                    fresh = dict(self.__dict__)
                    Shared._state |= {k: v for k, v in fresh.items() if k not in Shared._state
                                      or k in inspect.signature(answer).parameters}
                    self.__dict__ = Shared._state

            Shared.__name__ = answer.__name__
            Shared.__module__ = "__main__"
            return names | {name: Shared}

        yield "keeps its state in the class", shared

        def made_new():
            class Shared(answer):
                _state: dict = {}

                def __init__(self, *args, **kwargs):
                    self.__dict__ = Shared._state
                    self.__dict__.clear()
                    super().__init__(*args, **kwargs)

            Shared.__name__ = answer.__name__
            Shared.__module__ = "__main__"
            return names | {name: Shared}

        yield "keeps in the class what each instance makes new", made_new
    elif inspect.isgeneratorfunction(answer):
        def goes_on():
            last = {}

            def iterates(f, x, *args, **kwargs):
                for point in answer(f, last.get("x", x), *args, **kwargs):
                    last["x"] = np.array(point)
                    yield point

            return names | {name: _like(answer, iterates)}

        yield "goes on where the last run ended", goes_on
    else:
        def remembers():
            seen = {}

            def call(*args, **kwargs):
                result = answer(*args, **kwargs)
                times = seen[key] = seen.get(key := repr((_plain(args), _plain(kwargs))), 0) + 1
                return result if times == 1 else _other(result)

            return names | {name: _like(answer, call)}

        yield "says something else when asked again", remembers


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    return "function" if callable(value) else value


def _other(result):
    if isinstance(result, tuple):
        return (_other(result[0]), *result[1:])
    if isinstance(result, list):
        return result[:-1]
    if isinstance(result, bool | str) or result is None:
        return 0 if result is None else None
    return result * 1.5 + 0.5


def _ignores_a_parameter(exercise, names, name):
    """One number that is given is not used, but the usual one."""
    answer = names[name]
    try:
        parameters = inspect.signature(answer).parameters.values()
    except ValueError:
        return
    for parameter in parameters:
        usual = USUAL.get(parameter.name, 1.0)
        if parameter.default is not parameter.empty:
            usual = parameter.default
        if parameter.name in DATA or parameter.kind in (parameter.VAR_POSITIONAL,
                                                        parameter.VAR_KEYWORD):
            continue

        def changed(parameter=parameter, usual=usual):
            def replaced(args, kwargs):
                bound = inspect.signature(answer).bind(*args, **kwargs)
                given = bound.arguments.get(parameter.name, usual)
                if isinstance(given, int | float | np.number) and not isinstance(given, bool):
                    bound.arguments[parameter.name] = type(given)(usual)
                    touched.append(parameter.name)
                return bound.args, bound.kwargs

            return names | {name: _rearranged(answer, replaced)}

        yield f"ignores {parameter.name}", changed


def _draws_elsewhere(exercise, names, name):
    """The random source that is given is not used, but one of its own, the same each time."""
    def replaced(args, kwargs):
        def own(value):
            return np.random.default_rng(0) if isinstance(value, np.random.Generator) else value

        return tuple(map(own, args)), {key: own(value) for key, value in kwargs.items()}

    if _is_plain(names[name]) and "rng" in inspect.signature(names[name]).parameters:
        yield ("draws from a source of its own",
               lambda: names | {name: _rearranged(names[name], replaced)})


def _asks_elsewhere(exercise, names, name):
    """The loss is asked, but not where the task says, or not as often."""
    answer = names[name]
    ways = {
        "asks the loss around zero": lambda f, x: lambda p, *more: f(np.asarray(p) - x, *more),
        "asks the loss at twice the distance":
            lambda f, x: lambda p, *more: f(2 * np.asarray(p) - x, *more),
        "asks each loss twice": lambda f, x: lambda p, *more: (f(p, *more), f(p, *more))[1],
    }
    if isinstance(answer, type):
        return
    parameters = list(inspect.signature(answer).parameters)
    if not {"f", "loss", "gradient"} & set(parameters):
        return
    of_points = {"x", "p", "x0"} & set(parameters)
    for label, way in ways.items():
        if "twice" not in label and not of_points or label == "asks each loss twice" and (
                not {"f", "loss"} & set(parameters)):
            continue

        def changed(way=way):
            def replaced(args, kwargs):
                everything = [*args, *kwargs.values()]
                point = next((a for a in everything if isinstance(a, np.ndarray)), np.zeros(1))
                start = point.copy()
                args = tuple(_wrapped(a, way, start) for a in args)
                return args, {k: _wrapped(v, way, start) for k, v in kwargs.items()}

            return names | {name: _rearranged(answer, replaced)}

        yield label, changed
    if {"f", "loss"} & set(parameters) and of_points:
        def extra():
            def replaced(args, kwargs):
                everything = [*args, *kwargs.values()]
                point = next(a for a in everything if isinstance(a, np.ndarray))
                next(a for a in everything if callable(a))(point.copy())
                return args, kwargs

            return names | {name: _rearranged(answer, replaced)}

        yield "asks one loss too many", extra


def _wrapped(value, way, start):
    if isinstance(value, Objective):
        gradient = value.grad if value.has_gradient else None
        return Objective(way(value, start), gradient and way(gradient, start), batched=True)
    return way(value, start) if callable(value) else value


def _finite_differences(exercise, names, name):
    """A gradient from losses, where the objective gives the gradient."""
    answer = names[name]
    if "f.grad" not in _code(answer):
        return

    def changed():
        def difference(f):
            def gradient(x):
                h = 1e-5
                return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.size)])
            return gradient

        def replaced(args, kwargs):
            args = tuple(Objective(a, difference(a), batched=True) if isinstance(a, Objective)
                         else a for a in args)
            return args, kwargs

        return names | {name: _rearranged(answer, replaced)}

    yield "takes differences for the gradient", changed


def _calls_a_library(exercise, names, name):
    """The result of a library's solver, where the method was asked."""
    answer = names[name]
    if isinstance(answer, type):
        return
    parameters = list(inspect.signature(answer).parameters)

    def with_ones(x):
        return np.column_stack([np.ones(len(x)), x])

    ways = {}
    if parameters[:2] in (["x", "y"], ["X", "y"]) and "lr" in parameters:
        ways["least squares by formula"] = lambda x, y, *_, **__: np.linalg.lstsq(
            with_ones(x), y, rcond=None)[0]
        ways["np.polyfit"] = lambda x, y, *_, **__: np.polyfit(x, y, 1)[::-1]
    if parameters[:1] in (["f"], ["loss"]) and {"x", "x0"} & set(parameters):
        def minimised(f, x, *_, **__):
            from scipy.optimize import minimize

            return minimize(lambda p: float(f(p)), x, method="Nelder-Mead",
                            options={"maxfev": 500}).x

        def iterates(f, x, *_, **__):
            while True:
                yield minimised(f, x)

        ways["scipy.optimize"] = iterates if inspect.isgeneratorfunction(answer) else minimised
    for label, way in ways.items():
        yield f"calls {label}", lambda way=way: names | {name: _like(answer, way)}


CHEATS = (_counts_its_calls, _changes_its_input, _keeps_a_state, _ignores_a_parameter,
          _draws_elsewhere, _asks_elsewhere, _finite_differences, _calls_a_library)


def _is_plain(answer) -> bool:
    return not isinstance(answer, type) and not inspect.isgeneratorfunction(answer)


def _code(answer) -> str:
    """The source of an answer without its comments, or "" if there is none to be read."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(answer))))
    except (OSError, TypeError):
        return ""


def _like(answer, function):
    """The function under the answer's name: the course's own are not taken for answers."""
    wrapper = functools.wraps(answer)(function)
    wrapper.__module__ = "__main__"
    return wrapper


def _rearranged(answer, replaced):
    """The answer, called with what `replaced(args, kwargs)` makes of its arguments."""
    if isinstance(answer, type):
        class Other(answer):
            def __init__(self, *args, **kwargs):
                args, kwargs = replaced(args, kwargs)
                super().__init__(*args, **kwargs)

        Other.__name__ = answer.__name__
        Other.__module__ = "__main__"
        return Other

    def call(*args, **kwargs):
        args, kwargs = replaced(args, kwargs)
        return answer(*args, **kwargs)

    return _like(answer, call)
