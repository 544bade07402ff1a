"""Models over one flat parameter vector, and their training.

`SoftmaxRegression`  the linear classifier, for dense or sparse input
`MLP`                a multi-layer perceptron, for dense or sparse input
`LanguageModel`      the next symbol from the last few; `contexts` cuts a text into examples for it
`Transformer`        the same from all the symbols before; `sequences` cuts a text for it
`Cloze`              a transformer whose answer is one of a few symbols at the end of a text
`RankOneNoise`       noise for a population of transformers that share their products
`pretrained`         a language model that has read: shipped transformers, and smaller models
`train`              the methods of the course in place, on minibatches, with a ledger
"""

from .cloze import Cloze
from .language_model import LanguageModel, contexts
from .linear import SoftmaxRegression
from .mlp import MLP
from .pretraining import pretrained
from .rank_one import RankOneNoise
from .training import Training, train
from .transformer import Transformer, sequences

__all__ = ["MLP", "Cloze", "LanguageModel", "RankOneNoise", "SoftmaxRegression", "Training",
           "Transformer", "contexts", "pretrained", "sequences", "train"]
