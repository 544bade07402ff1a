"""What the chapters' experiments stand on: no best at an edge, and intervals that cover.

Coverage is simulated, on thousands of small data sets at once, with the function that `compare`
itself calls.
"""

import math
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from selections import hand_made_selections

from zglearn import Trajectory, experiments, run, trajectory
from zglearn.course import notebooks
from zglearn.experiments import (
    AtTheEdge,
    Scored,
    compare,
    earliest,
    fixed,
    geometric,
    holm,
    linear,
    near_one,
    reach,
    tune,
)
from zglearn.experiments.comparing import corrected_for_many, paired_t
from zglearn.gradient_methods import gradient_descent, momentum
from zglearn.landscapes import ravine


def basin(best, width=1.0):
    """A loss over lr that is lowest at ``best``, parabolic in its decades."""
    return lambda contender, lr, **_: 1 + (np.log10(lr / best) / width) ** 2


LR = {"lr": geometric(0.01, 1, 3)}


def values(grid):
    return [grid.at(i) for i in range(grid.count)]


# --- tuning -----------------------------------------------------------------------------------

def test_grids_are_even_on_their_scales_and_end_where_they_should():
    assert values(geometric(0.01, 1, 5)) == [0.01, 0.0316228, 0.1, 0.316228, 1]
    assert values(near_one(0, 0.99, 3)) == [0, 0.9, 0.99]
    assert values(linear(-1, 1, 3)) == [-1, 0, 1]
    assert geometric(0.01, 1, 3).at(-1) == 0.001 and near_one(0.9, 0.99, 2).at(2) == 0.999
    assert near_one(0, 0.9, 2).at(-1) == 0  # below 0 there is no momentum
    assert near_one(0.9, 0.999, 3).at(-1) == 0  # and not 6e-16, which would be no bound
    assert linear(0, 1, 3, bounds=(0, 1)).at(3) == 1


@pytest.mark.parametrize("make", [
    lambda: geometric(-0.1, 0.1, 5), lambda: geometric(0, 1, 5), lambda: geometric(1, 0.1, 5),
    lambda: geometric(0.1, 1, 1), lambda: geometric(0.1, math.inf, 3),
    lambda: geometric(0.1, math.nan, 3), lambda: near_one(0.5, 1, 3), lambda: near_one(0.9, 0.5, 3),
    lambda: linear(1, 1, 3), lambda: linear(0, 1, 0), lambda: geometric(0.1, 1, 2.5)])
def test_a_grid_that_cannot_be_made_says_what_it_needs(make):
    with pytest.raises(ValueError, match="from low to high"):
        make()


@pytest.mark.parametrize("best", [1e-6, 3e-4, 0.1, 40.0])
def test_the_grid_is_widened_until_the_best_lies_inside(best):
    tuned = tune(basin(best), {"a": {"lr": geometric(0.01, 1, 5)}}, trials=25)["a"]
    tried = sorted(trial.settings["lr"] for trial in tuned.trials)
    assert tried[0] < tuned.settings["lr"] < tried[-1]
    assert abs(np.log10(tuned.settings["lr"] / best)) < 0.1


def test_an_edge_is_refused_and_its_results_are_not_lost():
    contenders = {"inside": {"lr": geometric(0.01, 1, 5)}, "far": {"lr": geometric(1e-9, 1e-7, 5)}}
    with pytest.raises(AtTheEdge, match=r"far with lr = \S+. Move.*more trials than 10") as caught:
        tune(basin(0.1), contenders, trials=10)
    assert "inside" not in str(caught.value)
    assert len(caught.value.tuning["far"].trials) == 10


def test_everybody_has_the_same_number_of_trials_whatever_they_have_to_tune():
    asked = []

    def loss(contender, lr, beta=0.0, kind="a"):
        asked.append((contender, lr, beta, kind))
        return 1 + np.log10(lr * (1 - beta)) ** 2 + (beta - 0.8) ** 2 + (kind == "b")

    tuned = tune(loss, {"one": {"lr": geometric(0.1, 10, 3)},
                        "two": {"lr": geometric(0.1, 10, 3), "beta": near_one(0, 0.99, 3)},
                        "three": {"lr": geometric(0.1, 10, 3), "kind": ["a", "b"]}}, trials=20)
    assert [sum(a[0] == name for a in asked) for name in tuned] == [20, 20, 20]
    assert len(set(asked)) == 60
    assert tuned["two"].best.loss < 1.02 and tuned["three"].settings["kind"] == "a"
    lrs = [len({t.settings["lr"] for t in tuned[name].trials}) for name in ("one", "two")]
    assert lrs[0] > lrs[1]  # one knob, the finer grid


def test_where_all_around_the_best_was_tried_it_looks_at_half_the_distance():
    tried = tune(basin(0.1), {"a": LR}, trials=9)["a"].trials
    assert [trial.settings["lr"] for trial in tried] == pytest.approx([
        0.01, 0.1, 1, *10 ** np.array([-1.5, -0.5, -1.25, -0.75, -1.75, -0.25])], rel=1e-5)


def test_two_knobs_that_depend_on_each_other_are_followed():
    """A narrow valley along lr = (1 - beta)², far outside the first grid."""
    def loss(contender, lr, beta):
        pace = np.log10(1 - beta)
        return 1 + (np.log10(lr) - 2 * pace) ** 2 + (pace + 2.2) ** 2

    tuned = tune(loss, {"a": {"lr": geometric(0.01, 1, 5), "beta": near_one(0, 0.9, 3)}},
                 trials=60)["a"]
    assert tuned.best.loss < 1.1


def test_a_bound_by_nature_is_no_edge_and_a_list_of_numbers_has_edges():
    def loss(contender, beta):
        return 1 + beta

    assert tune(loss, {"a": {"beta": near_one(0, 0.9, 3)}}, trials=8)["a"].settings["beta"] == 0
    with pytest.raises(AtTheEdge):
        tune(loss, {"a": {"beta": [0.1, 0.5, 0.9]}}, trials=3)
    found = tune(loss, {"a": {"beta": fixed([0.0, 0.5, 0.9], bounds=(0, 1))}}, trials=3)
    assert found["a"].settings["beta"] == 0


def test_where_nothing_depends_on_a_knob_an_inner_value_is_taken():
    flat = tune(lambda contender, eps: 1 + 1e-5 * np.log10(eps),  # lower and lower, by nothing
                {"a": {"eps": geometric(1e-10, 1e-6, 5)}}, trials=6)["a"]
    assert 1e-10 < flat.settings["eps"] < 1e-6


def test_divergence_loses_and_counts_as_the_other_side_of_the_best():
    def loss(contender, lr):
        return [1 / lr, 1 / lr, math.nan if lr < 0.5 else 1.0] if lr <= 1 else [np.nan, 1e9, np.inf]

    tuned = tune(loss, {"a": {"lr": geometric(0.01, 1, 3)}}, trials=12)["a"]
    assert 0.5 < tuned.settings["lr"] <= 1
    assert all(np.isinf(t.loss) for t in tuned.trials if t.settings["lr"] > 1)
    with pytest.raises(ValueError, match="no finite loss in the whole grid of a: move it"):
        tune(lambda contender, lr: np.nan, {"a": {"lr": geometric(0.01, 1, 3)}}, trials=12)


def test_the_good_region_and_the_ledger():
    def loss(contender, lr):
        return Scored(basin(0.1)(contender, lr), cost=7)

    tuned = tune(loss, {"a": {"lr": geometric(0.001, 10, 9)}}, trials=9)["a"]
    assert tuned.good("lr", within=0.3) == (0.0316228, 0.316228)  # half a decade: 1.25
    assert tuned.good("lr", within=1.5) == (0.01, 1) and tuned.width("lr", within=1.5) == 2
    assert tuned.cost == 63
    assert repr(tuned) == ("loss 1 with lr = 0.1 (good: 0.1 to 0.1); "
                           "9 trials for 63 forward-equivalents")
    assert math.isnan(tune(basin(0.1), {"a": {"lr": geometric(0.01, 1, 3)}}, trials=3)["a"].cost)


def test_the_width_near_one_is_that_of_the_pace():
    tuned = tune(lambda contender, beta: 1 + abs(beta - 0.9),
                 {"a": {"beta": near_one(0, 0.999, 4)}}, trials=4)["a"]
    assert tuned.good("beta") == (0.9, 0.999) and tuned.width("beta") == pytest.approx(2)


def test_contenders_of_the_same_name_are_not_mixed_up():
    one, other = (lambda lr: basin(0.1)(0, lr)), (lambda lr: basin(0.3)(0, lr))
    grid = {"lr": geometric(0.01, 1, 5)}
    tuned = tune(lambda method, lr: method(lr), {one: grid, other: grid}, trials=9)
    assert tuned[one].settings != tuned[other].settings


def test_a_second_basin_is_not_part_of_the_good_region():
    def two(contender, lr):
        return min(basin(0.01)(contender, lr), basin(100, 0.5)(contender, lr) + 0.01)

    tuned = tune(two, {"a": {"lr": geometric(1e-4, 1e4, 9)}}, trials=9)["a"]
    assert tuned.good("lr") == (0.01, 0.01)
    names = tune(lambda contender, kind: len(kind), {"a": {"kind": ["aa", "b"]}}, trials=2)["a"]
    with pytest.raises(ValueError, match="no order"):
        names.good("kind")


def test_tuning_again_with_what_was_kept_tries_nothing_twice():
    asked, kept = [], {}

    def loss(contender, lr):
        asked.append(lr)
        if len(asked) == 8:
            raise KeyboardInterrupt
        return basin(0.02)(contender, lr)

    contenders = {"a": {"lr": geometric(0.01, 1, 5)}, "b": {"lr": geometric(0.01, 1, 5)}}
    with pytest.raises(KeyboardInterrupt):
        tune(loss, contenders, trials=10, kept=kept)
    assert len(kept) == 7
    again = tune(loss, contenders, trials=10, kept=kept)
    assert len(asked) == 21  # 20 and the one that was interrupted
    assert repr(again) == repr(tune(basin(0.02), contenders, trials=10))


def test_a_run_that_was_cut_short_is_no_trial(monkeypatch):
    monkeypatch.setattr(trajectory, "LONG", 0.05)
    kept = {}

    def loss(method, lr):
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        f = ravine().objective()
        end = time.monotonic() + 20
        path = run(method, f, [1.0, 1.0], steps=10**6, lr=lr)
        assert path.stopped == "interrupted" and time.monotonic() < end
        return path.losses[-1]

    with pytest.raises(KeyboardInterrupt):
        tune(loss, {gradient_descent: {"lr": geometric(1e-5, 1e-3, 3)}}, trials=3, kept=kept)
    assert not kept


@pytest.mark.parametrize("contenders, trials, loss, message", [
    ({}, 3, 1.0, "no contenders"),
    ({"a": {}}, 3, 1.0, "a has no knob"),
    ({"a": {"lr": 0.1}}, 3, 1.0, "needs a grid or a list"),
    ({"a": {"kind": "abc"}}, 3, 1.0, "needs a grid or a list"),
    ({"a": {"lr": []}}, 3, 1.0, "a has a knob without values"),
    ({"a": LR}, 2, 1.0, "a has a grid of 3 points.*not 2"),
    ({"a": LR}, 3.5, 1.0, "not 3.5"),
    ({"a": LR}, 3, [], "a with lr = 0.01: a validation loss is a number"),
    ({"a": LR}, 3, [[1.0]], "one for each seed, not of shape"),
    ({"a": {"kind": ["x", "y"]}}, 3, 1.0, "no more than 2 settings"),
])
def test_what_cannot_be_tuned_says_why(contenders, trials, loss, message):
    with pytest.raises(ValueError, match=message):
        tune(lambda contender, **settings: loss, contenders, trials=trials)


def test_another_number_of_seeds_is_refused():
    seeds = iter([3, 3, 2])
    with pytest.raises(ValueError, match="3 losses at first and 2 now"):
        tune(lambda contender, lr: np.ones(next(seeds)), {"a": LR}, trials=3)


# --- comparing --------------------------------------------------------------------------------

def test_the_interval_is_that_of_scipy_and_the_correction_that_of_the_paper():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7))
    found, known = compare(a, b, test_share=0), ttest_rel(a, b)
    assert found.p == pytest.approx(known.pvalue)
    assert [found.low, found.high] == pytest.approx(list(known.confidence_interval()))
    corrected = compare(a, b, test_share=0.2)  # Nadeau and Bengio: 1/n + n_test/n_train
    ratio = (corrected.high - corrected.low) / (found.high - found.low)
    assert ratio == pytest.approx(np.sqrt((1 / 7 + 20 / 80) * 7))
    assert corrected.difference == found.difference


def test_what_a_learner_reads():
    a = compare([3, 4, 5, 7], [1, 2, 3, 4], test_share=0)
    assert repr(a) == "+2.25 (95% interval +1.45 to +3.05, n = 4, p = 0.0029): shown"
    assert a.shown and a.low > 0
    b = compare([3, 4, 5, 1], [1, 2, 3, 4], test_share=0)
    assert not b.shown and b.low < 0 < b.high and repr(b).endswith(": not shown")
    assert "p = 0.0058 after Holm's correction for 2): shown" in repr(holm({"a": a, "b": b})["a"])
    alike = compare([1, 1], [1, 1], test_share=0)
    assert not alike.shown and (alike.low, alike.high, alike.p) == (0, 0, 1)


@pytest.mark.parametrize("a, b, more, message", [
    ([1.0], [2.0], {}, "two or more pairs"),
    ([1.0, 2.0], [1.0, 2.0, 3.0], {}, "two or more pairs"),
    (1.0, 2.0, {}, "two or more pairs"),
    ([1.0, np.nan], [1.0, 2.0], {}, "diverged or was not reached"),
    ([1.0, np.inf], [1.0, 2.0], {}, "diverged or was not reached"),
    ([0.3, 0.4, 0.5], [0.1, 0.2, 0.3], {}, "does the seed change anything"),
    ([1.0, 2.0], [1.0, 3.0], {"test_share": 1}, "test_share is from 0"),
    ([1.0, 2.0], [1.0, 3.0], {"level": 95}, "level between 0 and 1"),
])
def test_what_cannot_be_compared_says_why(a, b, more, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b, **{"test_share": 0} | more)


def covered(differences, truth, test_share):
    mean, half, _ = paired_t(differences, test_share, 0.95)
    return np.mean(np.abs(mean - truth) <= half)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_over_seeds_covers_95_percent(n):
    differences = np.random.default_rng(n).normal(0.3, 2.0, size=(20_000, n))
    assert covered(differences, 0.3, 0) == pytest.approx(0.95, abs=0.01)


def test_two_standard_errors_do_not():
    """What the chapters did in their first edition, on seeds."""
    d = np.random.default_rng(0).normal(size=(20_000, 3))
    error = d.std(axis=1, ddof=1) / np.sqrt(3)
    assert np.mean(np.abs(d.mean(axis=1)) <= 2 * error) < 0.85


N, RESPLITS = 100, 10


def resplit(make, fit_and_test, share, rng, worlds=1500):
    """Differences (worlds, splits) of two learners: in each world, one data set split anew."""
    X, y = make(rng, (worlds, N))
    place = rng.random((worlds, RESPLITS, N)).argsort(axis=-1)
    X, y = (A[np.arange(worlds)[:, None, None], place] for A in (X, y))
    cut = round(N * share)
    return fit_and_test(X[:, :, cut:], y[:, :, cut:], X[:, :, :cut], y[:, :, :cut])


def independent(make, fit_and_test, share, rng, worlds=6000):
    """The same differences, each on data of its own: their mean is what intervals should cover."""
    X, y = make(rng, (worlds, N + 100))
    cut = round(N * (1 - share))
    return fit_and_test(X[:, :cut], y[:, :cut], X[:, cut:], y[:, cut:]).mean()


def patients(rng, shape):
    X = rng.normal(size=(*shape, 8))
    return X, X @ np.linspace(0.5, 0, 8) + rng.normal(size=shape)


def two_ridges(X, y, X_test, y_test):
    """The difference of squared errors, with a ridge of 1 and of 30."""
    G, c = X.swapaxes(-1, -2) @ X, X.swapaxes(-1, -2) @ y[..., None]
    errors = [(y_test - (X_test @ np.linalg.solve(G + ridge * np.eye(8), c))[..., 0]) ** 2
              for ridge in (1, 30)]
    return (errors[0] - errors[1]).mean(axis=-1)


def flowers(rng, shape):
    y = rng.integers(2, size=shape)
    return rng.normal(size=(*shape, 8)) + [0.5, 0.5, *[0] * 6] * (2 * y - 1)[..., None], y


def two_centroids(X, y, X_test, y_test):
    """The difference of error rates of nearest centroids, in two features and in all eight."""
    one, other = ((X * is_in[..., None]).sum(axis=-2, keepdims=True) / is_in.sum(
        axis=-1)[..., None, None] for is_in in (y, 1 - y))
    score = (X_test - (one + other) / 2) * (one - other)
    errors = [(score[..., :k].sum(axis=-1) > 0) != y_test for k in (2, 8)]
    return errors[0].mean(axis=-1) - errors[1].mean(axis=-1)


def one_feature(rng, shape, tails):
    y = rng.integers(2, size=shape)
    return rng.standard_t(tails, size=shape) + 0.7 * (2 * y - 1), y


def two_centres(X, y, X_test, y_test):
    """The difference of error rates: nearest mean, and nearest median, of the classes."""
    errors = []
    for centre in (np.nanmean, np.nanmedian):
        one, other = (centre(np.where(y == k, X, np.nan), axis=-1)[..., None] for k in (1, 0))
        errors.append(((X_test > (one + other) / 2) == (one > other)) != y_test)
    return errors[0].mean(axis=-1) - errors[1].mean(axis=-1)


def opinions(rng, shape):
    """Two classifiers that learn nothing: on each example, which of them errs."""
    y = rng.choice([-1, 0, 1], p=[0.1, 0.7, 0.2], size=shape)
    return y[..., None], y


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_over_resplits_95_percent_are_covered_exactly_where_training_changes_nothing(share):
    rng = np.random.default_rng(1)
    d = resplit(opinions, lambda X, y, X_test, y_test: y_test.mean(axis=-1), share, rng, 4000)
    assert covered(d, 0.1, share) == pytest.approx(0.95, abs=0.02)
    assert covered(d, 0.1, 0) < 0.88


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("make, learners", [(patients, two_ridges), (flowers, two_centroids)])
def test_over_resplits_at_least_95_percent_are_covered_where_learners_are_stable(
        make, learners, share):
    rng = np.random.default_rng(2)
    truth = independent(make, learners, share, rng)
    d = resplit(make, learners, share, rng)
    assert covered(d, truth, share) > 0.95
    assert covered(d, truth, 0) < 0.96


@pytest.mark.parametrize("tails", [0.8, 100])
def test_over_resplits_nothing_is_guaranteed(tails):
    """Outliers decide what all splits learn, so these are more alike than the correction allows
    for; or mean and median hardly ever disagree, so most data sets show no spread. `compare` says
    that there are such cases; here they are."""
    make, rng = partial(one_feature, tails=tails), np.random.default_rng(3)
    truth = independent(make, two_centres, 0.1, rng)
    assert covered(resplit(make, two_centres, 0.1, rng), truth, 0.1) < 0.9


def test_holm_by_hand():
    p = corrected_for_many(np.array([0.01, 0.04, 0.03, 0.005]))  # the paper's rule, step by step
    assert p == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected_for_many(np.array([0.5, 0.9])) == pytest.approx([1, 1])
    many = holm({name: compare([1.0, 2, 3, 9], [0, 0.5, 1, shift], test_share=0)
                 for name, shift in (("a", 5.0), ("b", 7.0))})
    assert many["a"].family == 2 and many["a"].p <= 1 and list(many) == ["a", "b"]
    with pytest.raises(ValueError, match="not corrected yet"):
        holm(many)
    with pytest.raises(ValueError, match="not corrected yet"):
        holm({})


@pytest.mark.parametrize("differ", [0, 2])
def test_holm_keeps_the_chance_of_any_false_discovery(differ):
    """Five rivals against one baseline, which they share; two of them may really differ."""
    rng = np.random.default_rng(differ)
    scores = rng.normal(size=(10_000, 6, 8))
    scores[:, 1 : 1 + differ] += 3
    p = paired_t(scores[:, 1:] - scores[:, :1], 0, 0.95)[2]
    wrong, uncorrected = [(q[:, differ:] < 0.05).any(axis=1).mean()
                          for q in (corrected_for_many(p), p)]
    assert wrong < 0.055 and uncorrected > 0.1
    if differ:
        assert (corrected_for_many(p)[:, :differ] < 0.05).mean() > 0.8


# --- reaching ---------------------------------------------------------------------------------

def test_the_price_is_the_first_cost_at_the_level_and_who_never_arrives_counts():
    curves = [([0, 3, 6, 9], [1, 0.5, 0.2, 0.4]), ([0, 3, 6, 9], [1, 0.2, 0.2, 0.1]),
              ([0, 3, 6], [1, np.nan, 0.9])]
    price = reach(curves, 0.2)
    assert price.costs.tolist() == [6, 3, np.inf] and price.spent.tolist() == [9, 9, 6]
    assert price.median == 6
    assert repr(price) == "loss 0.2 at a median cost of 6 (by 2 of 3 seeds, at 3 to 6)"
    assert reach(curves[1:], 0.2).median == math.inf  # one of two: not more than half
    assert repr(reach(curves[2:], 0.2)) == ("loss 0.2 at a median cost that was not reached "
                                            "(by 0 of 1 seeds)")
    path = run(gradient_descent, ravine(10).objective(), [1.0, 1.0], steps=50, lr=0.1)
    assert isinstance(path, Trajectory)
    assert reach([path], 1e-3).costs == [3 * path.steps_to(1e-3)]


@pytest.mark.parametrize("curves, level", [
    ([], 1.0), ([([0, 1], [1.0])], 1.0), ([([], [])], 1.0), ([([2, 1], [1.0, 0.5])], 1.0),
    ([([0, 1], [1.0, 0.5])], math.nan)])
def test_what_has_no_price_says_why(curves, level):
    with pytest.raises(ValueError, match="curve"):
        reach(curves, level)


def curves_of(lr):
    """Two seeds: the larger lr, the sooner it arrives and the worse it ends; above 3 diverges."""
    cost = np.arange(1, 400)
    falling = lr + 1 / (1 + cost * lr)
    return [(cost, falling if lr <= 3 else np.full(399, np.nan)), (cost + 1, falling)]


def tuned_with_curves(high):
    def loss(contender, lr):
        return Scored([losses[-1] for _, losses in curves_of(lr)], curves=curves_of(lr))

    return tune(loss, {"a": {"lr": geometric(0.001, high, 7)}}, trials=12)["a"]


def test_the_earliest_of_all_settings_tried_may_not_be_the_best_in_the_end():
    tuned = tuned_with_curves(high=1)
    first = earliest(tuned, 0.5)
    assert first.settings["lr"] > 2 * tuned.settings["lr"]
    assert first.median == min(reach(t.curves, 0.5).median for t in tuned.trials)
    assert f"with lr = {first.settings['lr']:.4g}" in repr(first)
    with pytest.raises(AtTheEdge, match="the earliest lies at the edge"):
        earliest(tuned_with_curves(high=0.2), 0.5)
    assert earliest(tuned, 1e-9).median == math.inf
    plain = tune(basin(0.1), {"a": LR}, trials=3)["a"]
    with pytest.raises(ValueError, match="no curves"):
        earliest(plain, 0.5)


# --- all of it --------------------------------------------------------------------------------

def test_the_example_runs_and_shows_what_chapter_04_promises():
    lines = experiments.__doc__.split("\n")
    code = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    told = {"np": np}
    exec(code, told)
    assert told["new"][momentum].median < 0.5 * told["new"][gradient_descent].median
    assert told["tuned"][momentum].settings["beta"] > 0.3


def test_to_import_it_takes_no_scipy():
    code = "import sys, zglearn.experiments; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize("path", notebooks.hand_edited(),
                         ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_choice_in_a_notebook_is_made_by_tune_or_says_why_not(path):
    found = hand_made_selections(notebooks.read(path))
    silent = [f"{s.cell}, line {s.line}: {s.code}" for s in found if s.reason is None]
    assert not silent, "use tune, or say why on the line (# by hand: …):\n" + "\n".join(silent)


@pytest.mark.parametrize("code", [
    "best = min(trials, key=trials.get)",
    "value = max(tried, key=lambda s: tried[s])",
    "i = losses.argmin()",
    "lr = LRS[np.argmin(losses)]",
    "i = np.nanargmin(losses)",
    "best = np.argmax([score(p) for p in tried])",
    "best = sorted(results)[0]",
    "best = lrs[np.argsort(losses)[0]]",
    "best = min(zip(medians, lrs, strict=True))",
    "best = [min(one_pass(size, lr) for lr in lrs) for size in sizes]",
    "_, loss, right = min(penalized(problem, r) for r in (1e-5, 1e-4))",
    "best = min(p.steps_to(1e-3) or 4000 for p in paths)",
    "best = np.nanmin(np.median(rows, axis=0))",
    "%matplotlib inline\nbest = min(\n    grid,\n    key=loss)",
])
def test_a_choice_by_hand_is_found_and_a_reason_beside_it_too(code):
    (found,) = hand_made_selections(one_cell(code))
    assert found.reason is None and found.cell == "cell"
    (found,) = hand_made_selections(one_cell(code + "  # by hand: the data decide"))
    assert found.reason == "the data decide"
    (found,) = hand_made_selections(one_cell(code + "  # by hand:"))
    assert found.reason is None


@pytest.mark.parametrize("code", [
    "print(f'{min(found):.2f} to {max(found):.2f}')", "P.argmax(axis=1)", "sorted(words)[:4]",
    "np.argmax(lengths < 0.01)", "min(n, m)", "order = sorted(names, key=len)",
    "%%trial 01.1 wrong by hand\nbest = min(trials, key=trials.get)", "losses.min()"])
def test_what_chooses_no_setting_is_left_alone(code):
    assert hand_made_selections(one_cell(code)) == []


def one_cell(source):
    return SimpleNamespace(cells=[SimpleNamespace(cell_type="code", id="cell", source=source),
                                  SimpleNamespace(cell_type="markdown", id="t", source="min(a b")])
