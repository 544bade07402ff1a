"""What is closed when a notebook is opened: the saved outputs of a cell that answers a question,
and the section of trials at the end of a solutions notebook."""

import nbformat

from .derive import is_trial

FOLDS = "folded"  # the tag of a cell that answers a question: its saved outputs are closed
FOLDED = {"collapsed": True, "jupyter": {"outputs_hidden": True}}  # until it runs, as Jupyter says
# A transparent pixel. JupyterLab shows the first line of what is closed, so it comes first.
BLANK = {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR4nGNgYAAAAAMAAbitOmMA"
                      "AAAASUVORK5CYII="}

CLOSED_SECTION = {"jp-MarkdownHeadingCollapsed": True}  # on a heading, as JupyterLab 4 writes it
TRIALS = "trials"
ABOUT_TRIALS = """# Trials

Answers whose verdict is known, and what the check says to each: mistakes that people make, and
other ways to be right. They are not part of the exercises."""


def trials_last(cells: list) -> list:
    """The cells with the trials behind all others, under a heading of their own that is closed."""
    trials = [cell for cell in cells if is_trial(cell)]
    others = [cell for cell in cells if not is_trial(cell) and cell.id != TRIALS]
    if not trials:
        return others
    heading = nbformat.v4.new_markdown_cell(ABOUT_TRIALS, id=TRIALS,
                                            metadata={"tags": ["solution-only"], **CLOSED_SECTION})
    return [*others, heading, *trials]
