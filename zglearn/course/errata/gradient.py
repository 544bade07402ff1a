"""Cards about what it means to do without a gradient, and what that costs."""

import numpy as np

from zglearn.course.errata import card, failure
from zglearn.gradient_free_methods import one_plus_one_es
from zglearn.gradient_methods import adagrad, adam, momentum, rmsprop
from zglearn.objective import GradientForbidden, Objective
from zglearn.trajectory import run


def sphere(x):
    return np.sum(np.square(x), axis=-1)


@card("gradient", "false", chapter="10", rows=["E01"],
      right="All four are first-order methods: the gradient is all they learn of the loss.")
def adam_needs_no_gradient():
    """Momentum, Adagrad, RMSprop and Adam do without gradients."""
    f, start = Objective(sphere), np.ones(3)
    for method in (momentum, adagrad, rmsprop, adam):
        error = failure(run, method, f, start, steps=1, lr=0.1)
        assert isinstance(error, GradientForbidden) and f.evaluations == 0
    found = run(one_plus_one_es, Objective(sphere), start, budget=400, seed=1, sigma=0.5)
    assert found.losses[-1] < 1e-8
    return ("On an objective that refuses gradients, all four stop before they have asked for one "
            f"function value. A (1+1)-ES finds {found.losses[-1]:.0e} there within 400 values.")
