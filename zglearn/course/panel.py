"""The course's own panels in a notebook: HTML above, controls below, text where neither runs."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets


class Panel(ipywidgets.VBox):
    """A panel that shows ``as_html()`` and some controls.

    Its saved output carries ``as_html()`` and ``as_text()`` beside the live view, so that a code
    host, a kernel-less JupyterLab and a screen reader have them too.
    """

    def __init__(self, as_html: Callable[[], str], as_text: Callable[[], str], controls=()):
        self.as_html, self.as_text = as_html, as_text
        self.body = ipywidgets.HTMLMath()
        super().__init__([self.body])
        self.show_controls(controls)
        self.refresh()

    def show_controls(self, controls) -> None:
        """Put these controls, in rows, under the text."""
        for control in controls:
            control.panel = self
        self.children = [self.body, ipywidgets.HBox(
            list(controls), layout=ipywidgets.Layout(flex_flow="row wrap"))]

    def refresh(self) -> None:
        # JupyterLab opens the links of an output itself, but not those of a widget: without a
        # target they would leave the notebook.
        self.body.value = self.as_html().replace("<a href", "<a target='_blank' href")

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data.update({"text/plain": self.as_text(), "text/html": self.as_html()})
        return bundle


def button(label: str, pressed: Callable) -> ipywidgets.Button:
    """A button that calls ``pressed(panel)``."""
    made = ipywidgets.Button(description=label, layout=ipywidgets.Layout(width="auto"))
    made.on_click(lambda _: pressed(made.panel))
    return made
