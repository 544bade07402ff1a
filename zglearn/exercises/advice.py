"""What usually causes an error of Python's or NumPy's, in a few lines of numerical code."""

import re

CAUSES = [
    (r"NotPlain", "this is handed to a function that takes numbers and arrays"),
    (r"a point has shape|must have shape", "an array of another shape is handed on: print it"),
    (r"UnboundLocalError", "it is read before a line has set it: is that line missing, or inside "
     "an `if`?"),
    (r"NameError", "a line that sets it is missing, or it is spelled in two ways"),
    (r"broadcast|shapes? mismatch|shapes .* not aligned|matmul|dimensions? .*must match|"
     r"Incompatible dimensions|could not be broadcast|different sizes|same length|"
     r"dimension mismatch|core dimension", "the shapes do not fit: print both. Is a transpose, an "
     "`axis` or `keepdims=True` missing?"),
    (r"zip\(\)", "two lists that belong together have different lengths"),
    (r"inhomogeneous|setting an array element", "the parts of an array have unequal shapes"),
    (r"ZeroDivisionError", "a divisor is 0 in this case"),
    (r"IndexError", "positions run from 0 to n − 1: look at where the loop or the slice ends, and "
     "at which axis is meant"),
    (r"KeyError", "this key was never put in"),
    (r"NoneType", "something is None: a function without `return`, or a name that is set later"),
    (r"truth value", "an array stands where one yes or no is needed: use .any() or .all(), or "
     "compare one entry"),
    (r"missing \d+ required|takes \d+ positional|at (least|most) \d|expected \d|unexpected keyword|"
     r"takes .* arguments?|requires at least|missing required|got multiple values|no arguments",
     "a call has too few or too many arguments, or they stand in another order"),
    (r"unpack", "more or fewer values come than there are names for them"),
    (r"AttributeError: '(?!NoneType|Objective)[A-Z]\w*' object has no", "no line has set it: "
     "`__init__` does, with `self.` before the name"),
    (r"AttributeError", "the thing before the dot is not what it is taken for: print its type"),
    (r"Singular|singular|positive definite", "the matrix has no inverse"),
    (r"did not converge", "the matrix holds nan or infinity: print it, and look for what divides "
     "by zero"),
    (r"integer|slice indices|as an index|indices must be", "a position or a size must be a whole "
     "number: use // or int(...)"),
    (r"axis|AxisError", "the array has fewer axes than this line takes for granted"),
    (r"not callable|not iterable|not subscriptable|unsupported operand|bad operand|not supported "
     r"(?:between|for)|unhashable|must be|can't multiply|can only concatenate|invalid literal|"
     r"float\(\)|could not convert|has no len|not a number|Cannot cast|argument of type|"
     r"did not contain a loop|does not support argument",
     "a value is not of the kind that this line needs: print its type and, if it has one, its "
     "shape"),
    (r"empty|zero-size", "nothing was left to take this of: an empty list or array"),
    (r"OverflowError|math range", "a number grows too large: bound it before it is put into an "
     "exponent or a power"),
    (r"same sign|invalid value|math domain", "a number is outside of what this function takes"),
    (r"StopIteration|RuntimeError: generator", "something ended that was asked for one more"),
    (r"RecursionError", "a function calls itself and never ends"),
    (r"MemoryError|too large|Maximum allowed size", "an array is far larger than it should be: "
     "print its shape before it is made"),
    (r"GradientForbidden", "the gradient is asked where only values may be"),
]


def usual_cause(error: str) -> str:
    """The usual cause of ``"KeyError: 'x'"``, or "" if it is not a common one."""
    return next((cause for pattern, cause in CAUSES if re.search(pattern, error)), "")
