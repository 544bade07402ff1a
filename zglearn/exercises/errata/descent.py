"""Cards about gradient descent written by hand: shapes, signs, scales and intercepts."""

import numpy as np

from zglearn.data import load_diabetes
from zglearn.exercises.cards import card, failure, said
from zglearn.gradient_methods import gradient_descent
from zglearn.objective import Objective
from zglearn.trajectory import run


def mean_square(X, y, w):
    return np.mean((X @ w - y) ** 2)


def slopes_by_differences(f, w, h=1e-5):
    """The gradient of f at w, one central difference for each parameter."""
    return np.array([(f(w + step) - f(w - step)) / (2 * h) for step in h * np.eye(w.size)])


def line(n=100, seed=0):
    """Points around 2 x + 1, with noise drawn from 0 to 1: the matrix (n, 2) and the targets."""
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    return np.column_stack([np.ones(n), x]), 2 * x + 1 + rng.random(n)


# --- shapes -----------------------------------------------------------------------------------


def random_predictions(examples, parameters, rng):
    x = rng.random(examples)
    w = rng.random(parameters)
    return np.dot(x, w)


def one_row_an_example(examples, parameters, rng):
    X = rng.random((examples, parameters))
    w = rng.random(parameters)
    return X @ w


@card("descent", "false", chapter="03", rows=["E78"],
      broken=random_predictions, repaired=one_row_an_example,
      right="A linear model has one parameter for each feature, so every example is a row of as "
            "many features. A dot product adds up over features, never over examples.")
def a_thousand_parameters_for_a_hundred_numbers(broken, repaired):
    """This function makes random examples, as many as asked for, and predicts each with a linear
    model that has as many parameters as asked for."""
    error = failure(broken, 100, 1000, np.random.default_rng(0))
    assert isinstance(error, ValueError)
    assert np.shape(broken(100, 100, np.random.default_rng(0))) == ()
    assert repaired(100, 1000, np.random.default_rng(0)).shape == (100,)
    return ("With 100 examples and 1,000 parameters it stops, for the shapes do not fit. With 100 "
            "of each it runs, and makes a single prediction for all hundred.")


def descent_step(X, y, w, lr):
    return w - lr * (X @ w - y)


def gradient_step(X, y, w, lr):
    return w - lr * X.T @ (X @ w - y) / len(y)


@card("descent", "false", chapter="03", rows=["E79"],
      broken=descent_step, repaired=gradient_step,
      right="An error belongs to an example, a step to a parameter. `X.T` carries one to the "
            "other: each parameter collects the errors of the examples, weighted by its feature.")
def errors_are_not_steps(broken, repaired):
    """This function takes one step of gradient descent on a linear model: each parameter moves
    by its error."""
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(100, 5)), np.zeros(5)
    y = X @ rng.normal(size=5)
    error = failure(broken, X, y, w, 0.1)
    assert isinstance(error, ValueError)
    for _ in range(300):
        w = repaired(X, y, w, 0.1)
    assert mean_square(X, y, w) < 1e-6 * np.mean(y**2)
    return ("100 examples have 100 errors, but there are 5 parameters: "
            f"`{type(error).__name__}`. Repaired, 300 steps bring the mean square from "
            f"{np.mean(y**2):.1f} below a millionth of that.")


# --- signs ------------------------------------------------------------------------------------


def fit(X, y, lr, steps):
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        error = y - X @ w
        w = w - lr * X.T @ error / len(y)
    return w


def fit_by_adding(X, y, lr, steps):
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        error = y - X @ w
        w = w + lr * X.T @ error / len(y)
    return w


@card("descent", "false", chapter="03", rows=["E80"],
      broken=fit, repaired=fit_by_adding,
      right="`y - X @ w` already holds the minus sign of the gradient, so this step is added. "
            "Or write the residual as `X @ w - y` and subtract.")
def descent_must_subtract(broken, repaired):
    """This function fits a linear model by gradient descent: it goes down, so the step, features
    times error, is subtracted."""
    rng = np.random.default_rng(0)
    X, truth = rng.normal(size=(200, 5)), np.arange(1.0, 6)
    y = X @ truth
    climbed = mean_square(X, y, broken(X, y, 0.1, 50))
    assert climbed > 100 * np.mean(y**2)
    assert np.allclose(repaired(X, y, 0.1, 500), truth)
    return (f"It raises no exception. In 50 steps the mean square grows from {np.mean(y**2):.0f} "
            f"to {climbed:.0e}. With a plus the parameters come out as 1, 2, 3, 4, 5.")


@card("descent", "false", chapter="03", rows=["E97"],
      right="It is `Σ (ŷ - y) x`: the inner derivative of `y - ŷ` is minus x. With the minus "
            "lost, `θ - α ∇J` goes uphill.")
def the_sign_of_the_derivative():
    """If J is half the sum of (y - ŷ)² with ŷ = θ₀ + θ₁ x, then its derivative with respect to θ₁
    is the sum of (y - ŷ) x."""
    X, y = line()

    def J(theta):
        return 0.5 * np.sum((y - X @ theta) ** 2)

    def as_claimed(theta):
        return X.T @ (y - X @ theta)

    theta = np.array([0.3, -0.7])
    assert np.allclose(slopes_by_differences(J, theta), -as_claimed(theta), rtol=1e-6)
    path = run(gradient_descent, Objective(J, as_claimed), np.zeros(2), steps=10, lr=0.01)
    assert np.all(np.diff(path.losses) > 0) and path.losses[10] > 1e6 * path.losses[0]
    return ("At a test point the difference quotient is minus the formula. Descending with the "
            f"formula takes J from {path.losses[0]:.0f} to {path.losses[1]:.0e} in one step and "
            f"to {path.losses[10]:.0e} in ten.")


# --- what is trained, and by what -------------------------------------------------------------


@card("descent", "true", chapter="03", rows=["E81"],
      right="A step needs the gradient, and the gradient is not computed from the loss's value. "
            "The loss is for the people who watch, and for deciding when to stop.")
def the_loss_is_not_needed():
    """With a fixed learning rate, gradient descent takes the very same path if the loss is never
    computed."""
    X, y = line()

    def gradient(w):
        return X.T @ (X @ w - y) / len(y)

    def with_loss(w):
        return 0.5 * mean_square(X, y, w)

    paths = [run(gradient_descent, Objective(loss, gradient), np.zeros(2), steps=200, lr=0.5)
             for loss in (with_loss, lambda w: 0.0)]
    assert np.array_equal(paths[0].points, paths[1].points)
    assert paths[0].evaluations[-1] == 0 and paths[0].gradients[-1] == 200
    return ("200 steps with the loss, and 200 with 0 in its place, visit the same points to the "
            "last bit. The ledger shows 200 gradients and no evaluation.")


PHRASES = {(0, 0): 1, (1, 0): 0, (0, 1): 0, (1, 1): 1}  # (not, bad): is it praise?


@card("descent", "false", chapter="03", rows=["E82"],
      right="More weights do not help a dot product: it cannot let one word change what another "
            "one does. Products of features can, and so can layers, which is what GPT has.")
def a_dot_product_is_a_small_language_model():
    """A dot product of word features with weights is a language model in small: with enough
    weights it learns what GPT learns, only less of it."""
    X = np.column_stack([np.ones(4), np.array(list(PHRASES))])
    praise = np.array(list(PHRASES.values()))

    def fitted(F):
        return F @ np.linalg.lstsq(F, praise, rcond=None)[0]

    wide = X @ np.random.default_rng(0).normal(size=(3, 1000))
    assert np.allclose(fitted(X), 0.5) and np.allclose(fitted(wide), 0.5)
    assert np.allclose(fitted(np.column_stack([X, X[:, 1] * X[:, 2]])), praise)
    return ("Good, not good, bad, not bad: which are praise? The best linear fit says 0.5 to all "
            "four, with 3 weights and with 1,000. One product of two features, and it is exact.")


@card("descent", "false", chapter="03", rows=["E83"],
      right="The formula is the gradient, worked out by hand. What makes a method gradient-free "
            "is that it asks for losses only, and so works where no slope exists.")
def no_autograd_so_no_gradient():
    """A training loop that calls no gradient function and no autograd, only
    `w += lr * (y - X @ w) @ X`, is gradient-free."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(100):
        X, y, w = rng.normal(size=(20, 5)), rng.normal(size=20), rng.normal(size=5)
        slopes = slopes_by_differences(lambda v: 0.5 * np.sum((X @ v - y) ** 2), w)
        gaps.append(np.abs((y - X @ w) @ X + slopes).max())
    assert max(gaps) < 1e-5
    return ("On 100 random problems the step equals minus the gradient of half the squared error, "
            "found by differences, to five digits after the point.")


@card("appendix", "false", chapter="03", rows=["E84"],
      right="This is what the untouched start looks like. Parameters say little by themselves; "
            "print the loss, before and after.")
def parameters_between_0_and_1():
    """A linear model of 1,000 parameters, started at random between 0 and 1, prints 0.43, 0.71,
    0.28, 0.92, 0.55 and so on at the end: this output shows that the training has worked."""
    rng = np.random.default_rng(0)
    X, y, start = rng.random((100, 1000)), rng.random(100), rng.random(1000)
    L = np.linalg.norm(X, 2) ** 2 / 100
    trained = run(gradient_descent, Objective(lambda w: mean_square(X, y, w),
                                              lambda w: X.T @ (X @ w - y) / 100),
                  start, steps=50, lr=1 / L).points[-1]
    before, after = mean_square(X, y, start), mean_square(X, y, trained)
    assert after < 1e-3 * before
    assert trained.max() < 0.7 and 0.4 < np.mean(trained < 0) < 0.6
    return (f"100 random examples, 50 real steps: the mean square falls from {before:.0e} to "
            f"{after:.0f}, {np.mean(trained < 0):.0%} of the parameters are below zero then, and "
            f"the largest is {trained.max():.2f}.")


def train(X, y, w, lr, steps):
    predictions = X @ w
    for _ in range(steps):
        w = w - lr * X.T @ (predictions - y) / len(y)
    return w


def predicted_every_step(X, y, w, lr, steps):
    for _ in range(steps):
        predictions = X @ w
        w = w - lr * X.T @ (predictions - y) / len(y)
    return w


@card("descent", "false", chapter="03", rows=["E90"],
      broken=train, repaired=predicted_every_step,
      right="The loss must be a function of the parameters, through the prediction: `l(y, f(x; w))`"
            ". With the predictions fixed beforehand, nothing tells the steps when to stop.")
def predictions_before_the_loop(broken, repaired):
    """This function minimizes the mean of the losses l(y, ŷ) over the parameters w by gradient
    descent."""
    X, y = line()
    start = np.zeros(2)
    assert np.allclose(broken(X, y, start, 0.5, 1), repaired(X, y, start, 0.5, 1))
    overshot = mean_square(X, y, broken(X, y, start, 0.5, 100))
    best = mean_square(X, y, np.linalg.lstsq(X, y, rcond=None)[0])
    settled = mean_square(X, y, repaired(X, y, start, 0.5, 1000))
    assert overshot > 100 * mean_square(X, y, start) and settled < 1.001 * best
    return (f"After one step the two agree. After 100 the mean square is {overshot:.0e} here, as "
            f"every step repeats the first. Predicting again each time, it ends at {settled:.2f}, "
            "the least possible.")


# --- programs that stop -----------------------------------------------------------------------


def house_prices():
    from sklearn.datasets import load_boston

    return load_boston(return_X_y=True)


def disease_progression():
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)


@card("descent", "false", chapter="03", rows=["E91"],
      broken=house_prices, repaired=disease_progression,
      right="The Boston house prices left scikit-learn in version 1.2: one column holds an "
            "assumption about race and prices. The course regresses on the diabetes data.")
def a_data_set_that_was_withdrawn(broken, repaired):
    """This function loads a small, classical data set for regression from scikit-learn."""
    error = failure(broken)
    assert isinstance(error, ImportError) and "load_boston" in str(error)
    assert "ethical" in str(error)
    X, y = repaired()
    assert X.shape == (442, 10) and y.shape == (442,)
    return ("It stops with an `ImportError` whose text gives the maintainers' reason: an ethical "
            "problem of these data. The other function returns 442 patients, ten numbers each.")


def fit_and_report(X, y, w, lr, epochs):
    for _ in range(epochs):
        w -= lr * X.T @ (X @ w - y) / len(y)
    return numpy.mean((X @ w - y) ** 2)


def fit_and_report_it(X, y, w, lr, epochs):
    for _ in range(epochs):
        w -= lr * X.T @ (X @ w - y) / len(y)
    return np.mean((X @ w - y) ** 2)


@card("descent", "false", chapter="03", rows=["E92"],
      broken=fit_and_report, repaired=fit_and_report_it,
      right="Python looks a name up when it gets there, not before. Imported was `np`, so there "
            "is no `numpy`; a linter finds that before the first epoch.")
def a_missing_import_shows_at_once(broken, repaired):
    """This function fits a linear model in place and returns its error. (The module begins with
    `import numpy as np` and loads without complaint, so all its names are known.)"""
    X, y = line()
    w = np.zeros(2)
    error = failure(broken, X, y, w, 0.5, 1000)
    assert isinstance(error, NameError) and mean_square(X, y, w) < 0.1
    assert np.isclose(repaired(X, y, np.zeros(2), 0.5, 1000), mean_square(X, y, w))
    return (f"It trains for all 1,000 epochs, down to {mean_square(X, y, w):.2f}, and stops where "
            f"it should say so: {said(error)}.")


def gradient_of_squares(X, y, w):
    gradient = np.zeros(len(w))
    for i in range(len(w)):
        for i in range(len(y)):
            gradient[i] += (X[i] @ w - y[i]) * X[i, i]
    return gradient


def slopes_with_two_indices(X, y, w):
    gradient = np.zeros(len(w))
    for j in range(len(w)):
        for i in range(len(y)):
            gradient[j] += (X[i] @ w - y[i]) * X[i, j]
    return gradient


@card("descent", "false", chapter="03", rows=["E98"],
      broken=gradient_of_squares, repaired=slopes_with_two_indices,
      right="Examples and parameters are counted separately, so they need two letters, on paper "
            "as in the program: i up to n examples, j up to d parameters.")
def one_index_for_two_things(broken, repaired):
    """This function computes ∂J/∂wᵢ = Σᵢ (ŷᵢ - yᵢ) xᵢ, the gradient of half the sum of squares."""
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(30, 4)), rng.normal(size=30), rng.normal(size=4)
    error = failure(broken, X, y, w)
    assert isinstance(error, IndexError)
    assert not np.allclose(broken(X[:4], y[:4], w), X[:4].T @ (X[:4] @ w - y[:4]))
    assert np.allclose(repaired(X, y, w), X.T @ (X @ w - y))
    return (f"30 examples, 4 parameters: {said(error)}. With 4 examples it runs and is wrong. "
            "With two letters it agrees with `X.T @ (X @ w - y)`.")


# --- scales -----------------------------------------------------------------------------------


@card("descent", "it depends", chapter="03", rows=["E93"],
      holds="for standardised columns", fails="for columns of around 100",
      right="The units of the columns decide. The limit is two over the steepest curvature, and "
            "that grows with the square of the features: standardise them first.")
def a_safe_learning_rate():
    """A learning rate of 0.01 is safe for a linear regression."""
    train = load_diabetes().train
    ones = np.ones((len(train.y), 1))
    limits, ends = {}, {}
    for name, columns in (("standardised", train.X), ("raw", 100 + 20 * train.X)):
        X = np.hstack([ones, columns])
        limits[name] = 2 / np.linalg.eigvalsh(X.T @ X / len(X))[-1]
        f = Objective(lambda w, X=X: 0.5 * mean_square(X, train.y, w),
                      lambda w, X=X: X.T @ (X @ w - train.y) / len(X))
        ends[name] = run(gradient_descent, f, np.zeros(11), steps=200, lr=0.01).losses
    assert limits["raw"] < 1e-3 < 0.1 < limits["standardised"]
    assert ends["standardised"][-1] < 0.2 * ends["standardised"][0]
    assert ends["raw"][10] > 1e6 * ends["raw"][0]
    return (f"Diabetes data: with standardised columns steps up to {limits['standardised']:.1f} "
            "are stable, and 0.01 lowers the loss. With columns of around 100, as in a lab "
            f"report, the limit is {limits['raw']:.0e}, and ten steps of 0.01 multiply the loss "
            "by more than a million.")


@card("descent", "it depends", chapter="03", rows=["E94"],
      holds="where the targets were centred as well", fails="where they were not",
      right="Standardised columns have the mean 0, so without a column of ones the predictions "
            "have it too.")
def no_intercept_when_standardised():
    """With standardised columns a linear model does without an intercept."""
    task = load_diabetes()
    X, y, held_out = task.train.X, task.train.y, task.test

    def ones_and(columns):
        return np.column_stack([np.ones(len(columns)), columns])

    def solution(features, target):
        return np.linalg.lstsq(features, target, rcond=None)[0]

    mean = y.mean()
    without = mean_square(held_out.X, held_out.y, solution(X, y))
    centred = mean_square(held_out.X, held_out.y - mean, solution(X, y - mean))
    with_ones = mean_square(ones_and(held_out.X), held_out.y, solution(ones_and(X), y))
    constant = np.mean((held_out.y - mean) ** 2)
    assert np.isclose(centred, with_ones) and centred < constant < without / 3
    return (f"Diabetes data, test error: {without:.1e} without an intercept, {with_ones:.1e} with "
            f"one, and the same without one if `y` is centred. The mean alone, with no features, "
            f"has {constant:.1e}.")


@card("descent", "true", chapter="03", rows=["E99"],
      right="That is the chain rule: the square gives the error, the model gives its own "
            "derivative. It holds for a line and for a network; backpropagation computes `∂f/∂θ`.")
def the_chain_rule_for_any_model():
    """The gradient of half the sum of (y - f(x; θ))² is minus the sum of (y - f(x; θ)) ∂f/∂θ,
    whatever the shape of f, as long as it is smooth."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(size=50)

    def wave(theta):
        return theta[0] * np.tanh(theta[1] * x + theta[2])

    def slopes_of_wave(theta):
        inner = np.tanh(theta[1] * x + theta[2])
        return np.array([inner, theta[0] * (1 - inner**2) * x, theta[0] * (1 - inner**2)])

    worst = 0.0
    for theta in rng.normal(size=(100, 3)):
        by_rule = -slopes_of_wave(theta) @ (y - wave(theta))
        by_differences = slopes_by_differences(lambda t: 0.5 * np.sum((y - wave(t)) ** 2), theta)
        worst = max(worst, np.abs(by_rule - by_differences).max())
    assert worst < 1e-6
    return ("For `f = a tanh(b x + c)`, 50 points and 100 random parameters, the rule and the "
            "difference quotients agree to a millionth.")


@card("descent", "true", chapter="03", rows=["E100"],
      right="The two losses differ by the factor n/2, and so do their gradients and curvatures. "
            "What must not be carried over from one to the other is the learning rate itself.")
def half_the_sum_or_the_mean():
    """Whether the loss is half the sum of squares or their mean makes no difference to gradient
    descent, once the learning rate is multiplied by n/2."""
    X, y = line()

    def path(scale, lr):
        f = Objective(lambda w: scale * np.sum((X @ w - y) ** 2),
                      lambda w: 2 * scale * X.T @ (X @ w - y))
        return run(gradient_descent, f, np.zeros(2), steps=60, lr=lr)

    by_sum, by_mean = path(1 / 2, 0.01), path(1 / 100, 0.01 * 50)
    assert np.allclose(by_sum.points, by_mean.points)
    steepest = np.linalg.eigvalsh(X.T @ X)[-1]
    limits = 2 / steepest, 100 / steepest
    assert path(1 / 2, 0.02).losses[-1] > 1e3 * by_sum.losses[0]
    assert path(1 / 100, 0.02).losses[-1] < path(1 / 100, 0.02).losses[0]
    return ("100 points: lr 0.01 on half the sum and 0.5 on the mean visit the same points. The "
            f"limits are {limits[0]:.3f} and {limits[1]:.2f}; with lr 0.02 in both, the sum "
            "diverges and the mean creeps.")


@card("descent", "true", chapter="03", rows=["E101"],
      right="Noise drawn from 0 to 1 has the mean ½, and the intercept takes it up. To have "
            "an intercept of 1, centre the noise.")
def the_intercept_of_noisy_points():
    """Points made as `2 * x + 1 + rng.random(n)` have the true intercept 1.5, not 1."""
    found = np.array([np.linalg.lstsq(*line(seed=seed), rcond=None)[0] for seed in range(300)])
    intercept, slope = found.mean(axis=0)
    error = found[:, 0].std() / np.sqrt(300)
    assert abs(intercept - 1.5) < 4 * error < 0.05 and abs(slope - 2) < 0.05
    return (f"Least squares on 300 such sets of 100 points: intercept {intercept:.2f} on average, "
            f"slope {slope:.2f}.")


@card("descent", "false", chapter="03", rows=["E102"],
      right="A flat curve says that the steps are small. They are small at the minimum, and also "
            "on the way along a flat valley, or when the learning rate is small.")
def flat_means_finished():
    """A thousand steps with lr 0.01, and the loss no longer changes in its third digit: the
    parameters of the line have been found."""
    X, y = line()
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    f = Objective(lambda w: mean_square(X, y, w), lambda w: 2 * X.T @ (X @ w - y) / 100)
    path = run(gradient_descent, f, np.zeros(2), steps=1000, lr=0.01)
    last = 1 - path.losses[1000] / path.losses[999]
    slope = path.points[1000, 1]
    assert 0 < last < 1e-3 and abs(slope - best[1]) > 0.1 * best[1]
    return (f"The last step lowered the loss by {last:.0e} of itself. The slope stands at "
            f"{slope:.2f}, and the line of least squares has {best[1]:.2f}.")
