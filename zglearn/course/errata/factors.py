"""Cards about SVD, NMF and what a factorization gives."""

import numpy as np

from zglearn.course.errata import card, failure, said


def columns_times_rows(A, k):
    U, s, V = np.linalg.svd(A)
    return U[:, :k] @ V


def scores(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :k] * s[:k]


@card("factors", "false", chapter="01", rows=["E24"], broken=columns_times_rows, repaired=scores,
      right="k columns meet k rows, or no rows at all: the features of the rows of A are `U * s`.")
def features_from_columns_and_all_rows(broken, repaired):
    """This function gives each row of A as its k most important numbers."""
    A = np.random.default_rng(0).normal(size=(20, 50))
    error = failure(broken, A, 5)
    assert isinstance(error, ValueError)
    features = repaired(A, 5)
    assert features.shape == (20, 5)
    assert np.allclose(features @ features.T, scores(A, 20)[:, :5] @ scores(A, 20)[:, :5].T)
    return f"It stops: {said(error)}. Repaired, each of the 20 rows becomes 5 numbers."
