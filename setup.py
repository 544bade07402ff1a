"""What the package needs is what stands in requirements.txt; all else is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

lines = (Path(__file__).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
setup(install_requires=[line for line in lines if re.match(r"\w", line)])  # not the last, `-e .`
