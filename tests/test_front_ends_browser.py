"""What a widget shows where a front end cannot run it: the picture, its words, and a sentence."""

import pytest
from browser import CHROMIUM, JupyterLab
from test_widgets_browser import SETUP, shows_the_picture_and_one_sentence, write_notebook

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.mark.parametrize("missing", ["anywidget", "@jupyter-widgets/jupyterlab-manager"])
def test_a_front_end_that_lacks_it_shows_the_picture_and_one_sentence(tmp_path, missing):
    write_notebook(tmp_path / "still.ipynb", setup=SETUP, widget="EXAMPLES['explorer']()")
    with JupyterLab(tmp_path, without=[missing]) as lab:
        notebook = lab.open("still.ipynb")
        notebook.run_all()
        shows_the_picture_and_one_sentence(notebook)
        notebook.close()
