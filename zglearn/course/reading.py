"""What a chapter uses to show its own code."""

import inspect


def show_code(function):
    """Display a function's source as the package runs it, its docstring included."""
    from IPython.display import Code

    return Code(inspect.getsource(function), language="python")
