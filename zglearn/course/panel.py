"""The course's own panels in a notebook: HTML above, controls below, text where neither runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import ipywidgets
import traitlets

WIDE = ipywidgets.Layout(width="100%")


class Keys(anywidget.AnyWidget):
    """Unseen: it gives the panel that it is in its keys and its looks (`panel.js`, `panel.css`)."""

    _esm = Path(__file__).with_name("panel.js")
    _css = Path(__file__).with_name("panel.css")
    focus_next = traitlets.Unicode().tag(sync=True)  # a control's class, until it has the focus


class Panel(ipywidgets.VBox):
    """A panel that shows ``as_html()`` and some controls.

    Its saved output carries ``as_html()`` and ``as_text()`` beside the live view, so that a code
    host, a kernel-less JupyterLab and a screen reader have them too.
    """

    def __init__(self, as_html: Callable[[], str], as_text: Callable[[], str], controls=()):
        self.as_html, self.as_text = as_html, as_text
        self.body, self.keyboard = ipywidgets.HTMLMath(), Keys()
        super().__init__([self.body])
        self.add_class("zg-course")
        self.show_controls([row(*controls)])
        self.refresh()

    def show_controls(self, parts) -> None:
        """Put these under the text, one below the other; buttons in them act on this panel."""
        for part in parts:
            for control in (part, *getattr(part, "children", ())):
                control.panel = self
        self.children = [self.body, *parts, self.keyboard]

    def focus_on(self, control) -> None:
        """Put the focus on a control, as soon as it is drawn; not if it was moved meanwhile."""
        name = f"zg-{control.model_id}"
        control.add_class(name)
        self.keyboard.focus_next = name

    def refresh(self) -> None:
        # JupyterLab opens the links of an output itself, but not those of a widget: without a
        # target they would leave the notebook.
        self.body.value = self.as_html().replace("<a href", "<a target='_blank' href")

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data.update({"text/plain": self.as_text(), "text/html": self.as_html()})
        return bundle


def row(*controls) -> ipywidgets.HBox:
    """Controls beside one another, and below where it is narrow."""
    made = ipywidgets.HBox(list(controls))
    made.add_class("zg-row")
    return made


def button(label: str, pressed: Callable, primary: bool = False) -> ipywidgets.Button:
    """A button that calls ``pressed(panel)``. The one that leads on is primary: Ctrl + Enter
    presses it, wherever in the panel the focus is."""
    made = ipywidgets.Button(description=label, layout=ipywidgets.Layout(width="auto"))
    made.on_click(lambda _: pressed(made.panel))
    made.add_class("zg-primary" if primary else "zg-quiet")
    return made


def text_box(value: str = "", rows: int = 5, placeholder: str = "") -> ipywidgets.Textarea:
    """A box for text. What is in it is sent when it is left: a kernel that still works on the
    letters typed before would hear of a button first."""
    return ipywidgets.Textarea(value, rows=rows, placeholder=placeholder, layout=WIDE,
                               continuous_update=False)


def code_box(value: str) -> ipywidgets.Textarea:
    """A box for code: Tab indents in it, Escape leaves it."""
    made = text_box(value, rows=12, placeholder="Your code")  # its name for a screen reader, too
    made.add_class("zg-code")
    return made
