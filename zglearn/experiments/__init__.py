"""Experiments that an opponent would accept: tune all alike, compare in pairs, price a level.

    from zglearn import run
    from zglearn.experiments import compare, geometric, near_one, reach, tune
    from zglearn.gradient_methods import gradient_descent, momentum
    from zglearn.landscapes import ravine

    f = ravine(kappa=100, d=10).rotated().objective()

    def price(method, seeds, **settings):
        starts = [np.random.default_rng(seed).normal(size=10) for seed in seeds]
        return reach([run(method, f, x0, steps=300, **settings) for x0 in starts], 1e-3)

    tuned = tune(lambda method, **settings: price(method, range(5), **settings).costs, {
        gradient_descent: {"lr": geometric(0.001, 0.1, 5)},
        momentum: {"lr": geometric(0.001, 0.1, 5), "beta": near_one(0, 0.9, 3)}}, trials=21)
    new = {method: price(method, range(10, 20), **tuned[method].settings) for method in tuned}
    print(tuned, *new.values(), sep="\\n")
    print(compare(new[momentum].costs, new[gradient_descent].costs, test_share=0))

`tuning` has the rules for whoever has a knob, `comparing` the intervals, `reaching` the prices.
"""

from .comparing import Comparison, compare, holm
from .grids import Knob, fixed, geometric, linear, near_one
from .reaching import Reached, earliest, reach
from .tuning import AtTheEdge, Scored, Trial, Tuned, Tuning, tune

__all__ = ["AtTheEdge", "Comparison", "Knob", "Reached", "Scored", "Trial", "Tuned", "Tuning",
           "compare", "earliest", "fixed", "geometric", "holm", "linear", "near_one", "reach",
           "tune"]
