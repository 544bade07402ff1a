"""`python -m zglearn.runs NAME` makes the recorded runs of an experiment that are missing."""

import argparse

from . import experiments, record

parser = argparse.ArgumentParser(prog="python -m zglearn.runs", description=__doc__)
parser.add_argument("name", choices=experiments())
parser.add_argument("--anew", action="store_true", help="make them all again")
arguments = parser.parse_args()
print(f"{record(arguments.name, arguments.anew)} runs of {arguments.name} made and recorded")
