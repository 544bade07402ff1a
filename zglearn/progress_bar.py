"""Progress bars for long work, where somebody is there to see them."""

import os
import sys
from collections.abc import Iterator, Sequence


def track(items: Sequence, what: str = "") -> Iterator:
    """The items one after the other, with a bar if somebody watches.

    Where nobody does, nothing is printed: a notebook that is run to be saved or tested has the
    same outputs every time.
    """
    with progress_bar(len(items), somebody_watches(), desc=what, leave=False) as bar:
        for item in items:
            yield item
            bar.update()


def somebody_watches() -> bool:
    """Whether this is a kernel of a Jupyter server, or a terminal."""
    return "JPY_SESSION_NAME" in os.environ or sys.stderr.isatty()


def progress_bar(total: int, shown: bool, **options):
    """A tqdm bar; or, if it is not shown, one that does nothing."""
    if shown:
        from tqdm.auto import tqdm  # knows whether it is in a notebook, but takes time to import
    else:
        from tqdm import tqdm
    return tqdm(total=total, disable=not shown, **options)
