"""What the methods' hyperparameters may be: one table, for `run`, `train` and the widgets.

A name has one domain in all methods of the package, unless the method is named as well. What a
method of your own makes of its hyperparameters is its own affair: there, only what must be a
number is looked at.
"""

import difflib
import functools
import inspect
import math

import numpy as np

DOMAINS = {
    "lr": "[0, inf)", "weight_decay": "[0, inf)", "eps": "[0, inf)",
    "mezo eps": "(0, inf)", "spsa eps": "(0, inf)",  # the length of a probe
    "beta": "[0, 1)", "beta1": "[0, 1)", "beta2": "[0, 1)", "rho": "[0, 1)",
    "momentum beta": "[0, 1]",  # at 1 nothing is ever forgotten: a ball without friction
    "sigma": "(0, inf)", "radius": "(0, inf)", "size": "(0, inf)", "spread": "[0, inf)",
    "temperature": "[0, inf)", "cooling": "[0, 1]", "a": "(1, inf)",
    "beta2_decay": "(-inf, 0]", "eps1": "[0, inf)", "eps2": "[0, inf)", "d": "[1, inf)",
    "shampoo eps": "(0, inf)",  # the root of an eigenvalue of 0 has no inverse
    "refresh": "whole [1, inf)", "rounds": "whole [1, inf)", "nesterov": "True or False",
    "shapes": "a dictionary of shapes, such as model.shapes",
    "A": "[0, inf)", "alpha": "[0, inf)", "gamma": "[0, inf)",
    "population": "whole [1, inf)", "tournament": "whole [1, inf)", "elite": "whole [0, inf)",
    "centered": "True or False", "adaptive": "True or False", "ranks": "True or False",
    "neighbour": "a function", "evolution_strategy noise": "a function",
    "mezo noise": '"gaussian" or "rademacher"',
}


def check_method(method, given: dict) -> None:
    """Refuse hyperparameters that `run` could not use: TypeError for a name that the method lacks,
    ValueError for a value outside its domain. Those that a partial has fixed count as given."""
    plain, fixed = _unwrapped(method)
    parameters = dict(list(inspect.signature(method).parameters.items())[2:])
    defaults = {name: q.default for name, q in parameters.items()
                if name != "rng" and q.kind is not q.VAR_KEYWORD}
    if not any(q.kind is q.VAR_KEYWORD for q in parameters.values()):
        check_names(method_name(method), defaults, given)
    if is_ours(method):
        check_values(plain.__name__, inspect.signature(plain).parameters, fixed | given)
    if "shapes" in parameters and "shapes" not in fixed | given:
        raise TypeError(f"{method_name(method)} needs the shapes of the arrays in x: say "
                        "shapes=model.shapes, or shapes={'W': (rows, columns)}")
    for name, value in given.items():
        if isinstance(defaults.get(name), float) and not _is_finite(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")


def check_names(method: str, known, given) -> None:
    """TypeError for a hyperparameter that the method does not have."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise TypeError(f"{method} has no hyperparameter {name!r}: it has "
                            f"{', '.join(known) or 'none'}.{hint}")


def check_values(method: str, parameters, given: dict) -> None:
    """ValueError for a value that is not in the domain of a method of this package.

    ``parameters`` are those of its signature: None is welcome where it is the default.
    """
    for name, value in given.items():
        domain = DOMAINS.get(f"{method} {name}", DOMAINS.get(name))
        optional = name in parameters and parameters[name].default is None
        if domain and not (value is None and optional):
            check_value(name, value, domain)


def check_value(name: str, value, domain: str) -> None:
    """ValueError, unless the value is in the domain: "[0, 1)", "whole [1, inf)", or in words."""
    whole, interval = domain.startswith("whole "), domain.removeprefix("whole ")
    if domain == "True or False":
        fits = isinstance(value, bool | np.bool_)
    elif domain == "a function":
        fits = callable(value)
    elif domain.startswith("a dictionary of shapes"):
        fits = isinstance(value, dict) and bool(value) and all(map(_is_shape, value.values()))
    elif domain.startswith('"'):
        fits = isinstance(value, str) and f'"{value}"' in domain.split(" or ")
    elif not is_number(value):
        domain, fits = "a finite number", False
    else:
        low, high = map(float, interval[1:-1].split(","))
        fits = ((low <= value if interval[0] == "[" else low < value)
                and (value <= high if interval[-1] == "]" else value < high)
                and (not whole or isinstance(value, int | np.integer)))
    if not fits:
        raise ValueError(f"{name} must be {_in_words(domain)}, not {value!r}")


def _in_words(domain: str) -> str:
    whole, interval = domain.startswith("whole "), domain.removeprefix("whole ")
    if interval[0] not in "[(":
        return domain
    if interval == "(-inf, inf)":
        return "a whole number" if whole else "a finite number"
    low, high = interval[1:-1].split(", ")
    words = (f"at most {high}" if low == "-inf" else f"in {interval}" if high != "inf" else
             f"at least {low}" if interval[0] == "[" else f"above {low}")
    return f"a whole number {'' if words.startswith('in') else 'of '}{words}" if whole else words


def is_number(value) -> bool:
    """Whether it is one finite real number; True and False are none."""
    return (isinstance(value, int | float | np.integer | np.floating)
            and not isinstance(value, bool) and abs(value) < math.inf)


def _is_shape(shape) -> bool:
    return isinstance(shape, tuple) and bool(shape) and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape)


def method_name(method) -> str:
    """What a method is called in messages: a partial, or an object that can be called, has no
    name of its own."""
    while isinstance(method, functools.partial):
        method = method.func
    return getattr(method, "__name__", type(method).__name__)


TITLES = {"adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad", "amsgrad": "AMSGrad",
          "rmsprop": "RMSprop", "nesterov": "Nesterov", "lion": "Lion", "soap": "SOAP",
          "muon": "Muon", "shampoo": "Shampoo", "adafactor": "Adafactor",
          "nelder_mead": "Nelder-Mead", "one_plus_one_es": "(1+1)-ES", "cma_es": "CMA-ES",
          "sep_cma_es": "sep-CMA-ES", "spsa": "SPSA", "mezo": "MeZO"}


def method_title(method) -> str:
    """What the field calls a method of this package; a learner's own has the name it was given."""
    name = method_name(method)
    return TITLES.get(name, name.replace("_", " ")) if is_ours(method) else name


SYMBOLS = {"alpha": "α", "beta": "β", "beta1": "β₁", "beta2": "β₂", "eps": "ε", "gamma": "γ",
           "rho": "ρ", "sigma": "σ", "lr": "learning rate"}


def hyperparameter_title(name: str) -> str:
    """What the field calls a hyperparameter, and its keyword where that is another word."""
    return f"{SYMBOLS[name]} ({name})" if name in SYMBOLS else name.replace("_", " ")


def is_method(method) -> bool:
    """Whether calling it makes a generator of iterates."""
    return inspect.isgeneratorfunction(method) or (
        callable(method) and inspect.isgeneratorfunction(type(method).__call__))


def is_ours(method) -> bool:
    """Whether it is a method of this package."""
    module = getattr(_unwrapped(method)[0], "__module__", None)
    return str(module).startswith("zglearn.gradient_")  # None in a program that exec has run


def _unwrapped(method):
    """The function inside partials and decorators, and the keywords that partials have fixed."""
    fixed = {}
    while True:
        if isinstance(method, functools.partial):
            method, fixed = method.func, method.keywords | fixed
        elif hasattr(method, "__wrapped__"):
            method = method.__wrapped__
        else:
            return method, fixed


def _is_finite(value) -> bool:
    try:
        value = np.asarray(value)
    except ValueError:  # a list of lists of different lengths
        return False
    return value.dtype.kind in "fiu" and bool(np.isfinite(value).all())
