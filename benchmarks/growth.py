"""What work costs as it grows: time and peak memory, beside the algorithm's own order.

    python -m benchmarks growth

`work` counts the multiplications of the algorithm. Where time grows by no more than work does from
one line to the next, no step is worse than the algorithm's own order; small sizes are held up by
the calls themselves, so there time grows more slowly. The peak is that of all arrays but the data:
parameters, the method's state, temporaries. It takes some minutes.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import zglearn  # noqa: F401, I001  before numpy: it asks for one BLAS thread

import numpy as np

from benchmarks._bench import Size, table
from benchmarks.cma_es import advance, diagonal, ours, pycma, pycma_diagonal
from benchmarks.factorization import decomposition, extmath, tfidf
from benchmarks.language_model import GROWTH, adam_step, batch_of
from benchmarks.language_model import of_torch as language_model_of_torch
from benchmarks.mlp_training import EPOCHS, dense, of_torch
from benchmarks.mlp_training import ours as mlp
from zglearn.factorization import nmf, truncated_svd
from zglearn.gradient_free_methods import _cma_constants
from zglearn.models import MLP, LanguageModel


def main():
    rng = np.random.default_rng(0)
    table("MLP, four epochs of Adam on 2,048 examples, batch 128: parameters", "torch", mlps(rng))
    table("language model, a step of Adam, batch 64: parameters", "torch", language_models())
    table("CMA-ES, a generation, full covariance: dimensions", "pycma", cma(ours, pycma))
    table("CMA-ES, a generation, diagonal: dimensions", "pycma", cma(diagonal, pycma_diagonal))
    table("SVD, k = 20: stored entries", "sklearn, randomized", svds())
    table("NMF, k = 20, 5 sweeps: stored entries", "sklearn", nmfs())


def mlps(rng):
    for sizes in ([20, 32, 10], [100, 80, 10], [256, 256, 128, 10], [784, 784, 448, 10]):
        X, y = dense(rng, 2048, sizes)
        size = MLP(sizes).size
        yield Size(size, 3 * EPOCHS * len(X) * size, partial(mlp, sizes, X, y, 128),
                   partial(of_torch, sizes, X, y, 128))


def language_models():
    for shape in GROWTH:
        model = LanguageModel(**shape)
        X, y = batch_of(model, 64)
        yield Size(model.size, 3 * len(X) * model.size, partial(adam_step, model, X, y),
                   partial(language_model_of_torch, model, X, y))


def cma(contender, peer):
    for n in (2, 10, 40, 200, 1000):
        population, generations = 4 + int(3 * np.log(n)), 100 if n >= 200 else 1
        work = population * n
        if contender is ours:  # draw, rank-mu update, and now and then the axes
            work = 2 * population * n**2 + 9 * n**3 / _cma_constants(n, population)[-1]
        yield Size(n, work, partial(advance, contender, n, population, generations),
                   partial(advance, peer, n, population, generations), generations)


def matrices():
    for documents, terms in ((250, 1000), (2500, 3000), (25_000, 8000), (250_000, 20_000)):
        yield tfidf(documents, terms, length=45)


def svds(k=20):
    for A in matrices():
        yield Size(A.nnz, 10 * k * A.nnz + 10 * k * k * sum(A.shape),
                   lambda A=A: partial(truncated_svd, A, k, tol=1e-3),
                   lambda A=A: partial(extmath.randomized_svd, A, k, random_state=0))


def nmfs(k=20, sweeps=5):
    for A in matrices():
        yield Size(A.nnz, sweeps * (2 * k * A.nnz + 3 * k * k * sum(A.shape)),
                   lambda A=A: partial(nmf, A, k, steps=sweeps, tol=0),
                   lambda A=A: partial(decomposition.NMF(k, init="random", max_iter=sweeps,
                                                         tol=0).fit, A))


if __name__ == "__main__":
    main()
