"""What closes the saved outputs of a cell that answers a question, until the cell runs."""

FOLDS = "folded"  # the tag of a cell that answers a question: its saved outputs are closed
FOLDED = {"collapsed": True, "jupyter": {"outputs_hidden": True}}  # until it runs, as Jupyter says
# A transparent pixel. JupyterLab shows the first line of what is closed, so it comes first.
BLANK = {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR4nGNgYAAAAAMAAbitOmMA"
                      "AAAASUVORK5CYII="}
