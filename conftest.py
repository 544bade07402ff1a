"""`pytest --nbval chapters/…` alone honours how far a cell says that its numbers may move."""

from zglearn.authoring.tolerance import (  # noqa: F401  pytest finds its hooks by their names
    pytest_collection_modifyitems,
    pytest_configure,
)
