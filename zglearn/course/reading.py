"""What a chapter uses to show the package's own code."""

import inspect


class Source:
    """Python source that a notebook shows as such, in the colours of its own theme."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self):
        return self.text

    def _repr_markdown_(self):
        # nbconvert's pages give code in an output the font of the prose around it.
        return f'<div style="font-family: monospace">\n\n```python\n{self.text}```\n\n</div>'


def show_code(*functions) -> Source:
    """The source of functions as the package runs it, docstrings included; last in a cell, as only
    a cell's last value is shown."""
    return Source("\n\n".join(inspect.getsource(function) for function in functions))
