"""Models over one flat parameter vector, and their training.

`SoftmaxRegression`  a linear classifier, dense or sparse input
`MLP`                a multi-layer perceptron, dense or sparse input
`LanguageModel`      the next character from the last few
`train`              the methods of the course in place, on minibatches, with a ledger
"""

from .linear import SoftmaxRegression
from .mlp import MLP
from .training import train

__all__ = ["MLP", "SoftmaxRegression", "train"]
