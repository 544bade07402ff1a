"""Cards about what stands around the method: evaluation, listings, charts, numbering, thanks."""

import re
import unicodedata
from importlib import metadata

import numpy as np

from zglearn.data import load_diabetes
from zglearn.exercises.cards import card, failure, said
from zglearn.gradient_methods import gradient_descent
from zglearn.objective import Objective
from zglearn.trajectory import run

# --- evaluation -------------------------------------------------------------------------------


@card("writing", "false", chapter="11", rows=["E95"],
      right="The training error falls for noise as well, if there are few examples for each "
            "parameter. Only data held out can tell the two cases apart.")
def a_thousand_falling_training_errors():
    """The program prints the training error after each epoch, and it falls a thousand times, so
    the model is learning to predict."""
    rng = np.random.default_rng(0)
    task = load_diabetes()
    centre = task.train.y.mean()
    patients = [(part.X, (part.y - centre) / 100) for part in (task.train, task.test)]
    noise = [(rng.normal(size=(n, 60)), rng.normal(size=n)) for n in (40, 1000)]
    held_out = []
    for (X, y), (X_test, y_test) in (patients, noise):
        lr = len(y) / np.linalg.norm(X, 2) ** 2
        f = Objective(lambda w, X=X, y=y: np.mean((X @ w - y) ** 2),
                      lambda w, X=X, y=y: X.T @ (X @ w - y) / len(y))
        path = run(gradient_descent, f, np.zeros(X.shape[1]), steps=1000, lr=lr)
        assert np.all(np.diff(path.losses) <= 1e-12)
        held_out.append(np.mean((X_test @ path.points[-1] - y_test) ** 2) / np.mean(y_test**2))
    assert held_out[0] < 0.8 and path.losses[-1] < 0.01 and held_out[1] > 1.3
    return ("Patients, ten measurements: the held-out error falls to "
            f"{held_out[0]:.2f} of its start. Forty rows of pure noise, sixty columns: "
            f"the training error falls below 0.01, the held-out error rises to {held_out[1]:.1f} "
            "times its start.")


def accuracy(w, data):
    X, y = data
    return np.mean(np.sign(X @ w) == y)


def accuracy_of_the_best(candidates, validation, test):
    best = max(candidates, key=lambda w: accuracy(w, test))
    return accuracy(best, test)


def best_on_validation(candidates, validation, test):
    best = max(candidates, key=lambda w: accuracy(w, validation))
    return accuracy(best, test)


@card("writing", "false", chapter="11", rows=["E96"],
      broken=accuracy_of_the_best, repaired=best_on_validation,
      right="Choose on the validation data, report on the test data, and look at these once. The "
            "best of many results is partly the luckiest, and luck does not repeat.")
def settings_adjusted_to_the_test(broken, repaired):
    """This function picks the best of several trained classifiers and reports what accuracy to
    expect of it on new data."""
    rng = np.random.default_rng(0)
    reports = []
    for _ in range(40):
        candidates = rng.normal(size=(100, 10))
        validation, test = ((rng.normal(size=(100, 10)), rng.choice([-1, 1], 100))
                            for _ in range(2))
        reports.append([report(candidates, validation, test) for report in (broken, repaired)])
    on_test, on_validation = np.mean(reports, axis=0)
    assert on_test > 0.58 and abs(on_validation - 0.5) < 0.04
    return ("The labels are coin flips, so 50% is all that anyone can expect. The best of 100 "
            f"classifiers is reported with {on_test:.0%}; chosen on other data, with "
            f"{on_validation:.0%}.")


@card("writing", "false", chapter="03", rows=["E106"],
      right="Parameters know the data that they were fitted to. Points made up as `2 * x + 1` "
            "teach a method, and a test of it; they hold nothing about houses or patients.")
def made_up_points_predict_real_ones():
    """Trained on a hundred generated points, the parameters of the linear model can then be used
    to predict real cases, such as prices of houses."""
    rng = np.random.default_rng(0)
    x = rng.random(100)
    slope, intercept = np.polyfit(x, 2 * x + 1 + rng.random(100), 1)
    task = load_diabetes()
    bmi = task.feature_names.index("bmi")
    made_up, mean, fitted = (
        np.mean((prediction - task.test.y) ** 2) for prediction in (
            intercept + slope * task.test.X[:, bmi],
            task.train.y.mean(),
            np.polyval(np.polyfit(task.train.X[:, bmi], task.train.y, 1), task.test.X[:, bmi])))
    assert fitted < mean < made_up / 3
    return (f"Progress of diabetes from body mass: the made-up line has the error {made_up:.1e}, "
            f"the mean of the training patients {mean:.1e}, a line fitted to them {fitted:.1e}.")


# --- listings, charts, commands ---------------------------------------------------------------


def column(numbers):
    return np.asarray(numbers, dtype=np.float).reshape(-1, 1)


def column_of_floats(numbers):
    return np.asarray(numbers, dtype=float).reshape(-1, 1)


@card("writing", "false", chapter="03", rows=["E102"], broken=column, repaired=column_of_floats,
      right="Libraries take names away: `np.float` went with NumPy 1.24, and TensorFlow 2 took "
            "`tf.train.GradientDescentOptimizer`. Run a listing with the versions that you name.")
def a_listing_that_once_ran(broken, repaired):
    """This function turns a list of numbers into a column of floats, as it has for many years."""
    error = failure(broken, [1, 2, 3])
    assert isinstance(error, AttributeError)
    assert repaired([1, 2, 3]).shape == (3, 1) and repaired([1, 2, 3]).dtype == float
    return f"With NumPy {np.__version__.split('.')[0]} it stops: {said(error)}"


@card("appendix", "true", chapter="00", rows=["E103"],
      right="Python is not one of the packages that pip installs: the command ends with `No "
            "matching distribution found for python`. Python comes first, and brings pip.")
def python_is_not_a_package():
    """NumPy needs Python, and yet does not list it among the packages it needs; and
    `pip install python` fails."""
    assert isinstance(failure(metadata.version, "python"), metadata.PackageNotFoundError)
    ranges = []
    for package in ("numpy", "scipy", "scikit-learn", "matplotlib"):
        listed = metadata.requires(package) or []
        assert "python" not in {re.match(r"[\w.-]+", line)[0].lower() for line in listed}
        ranges.append(metadata.metadata(package)["Requires-Python"])
    assert all(ranges)
    return ("Python runs here, and yet no installed distribution is called python. NumPy, SciPy, "
            "scikit-learn and matplotlib do not list it either: the versions of Python that they "
            "run on stand in a field of their own, `Requires-Python`.")


def chart_of_the_loop():
    return """graph TD
    start[initialise] --> loss{loss small?}
    loss -->|yes} stop[end]
    loss -->|no} step[take a step]
    step --> loss"""


def chart_that_parses():
    return """graph TD
    start[initialise] --> loss{loss small?}
    loss -->|yes| stop[end]
    loss -->|no| step[take a step]
    step --> loss"""


@card("appendix", "false", chapter="03", rows=["E104"],
      broken=chart_of_the_loop, repaired=chart_that_parses,
      right="In Mermaid an arrow's label stands between two bars, `-->|yes|`. A brace opens and "
            "closes a rhombus. Render a chart before you publish it.")
def a_chart_that_nobody_rendered(broken, repaired):
    """This function writes the loop of gradient descent as a Mermaid chart, with a condition on
    each of two arrows."""
    node = r"\w+(\[[^]]*\]|\{[^}]*\})?"
    arrow = re.compile(rf" *{node} -->(\|[^|]*\|)? {node}")

    def unreadable(chart):
        return [line.strip() for line in chart.splitlines()[1:] if not arrow.fullmatch(line)]

    wrong = unreadable(broken())
    assert len(wrong) == 2 and unreadable(repaired()) == []
    return (f"A pattern for `node -->|label| node` reads two of the four lines. It cannot read "
            f"`{wrong[0]}` and `{wrong[1]}`.")


LISTING = """import numpy as np
x = np.ones(2)
lr = 0.01
for _ in range(100):
    x = x - lr * x
"""


def lr_line(listing):
    return listing.splitlines()[2]


def line_that_sets_lr(listing):
    return next(line for line in listing.splitlines() if line.startswith("lr ="))


@card("appendix", "false", chapter="17", rows=["E105"],
      broken=lr_line, repaired=line_that_sets_lr,
      right="Point at code by a name that stands in it. Line numbers are right until "
            "the next edit, and nothing reports when they stop being right.")
def line_numbers_in_an_explanation(broken, repaired):
    """This function quotes the line of a listing that sets the learning rate, for the explanation
    below it."""
    edited = "import zglearn\n" + LISTING
    assert broken(LISTING) == repaired(LISTING) == repaired(edited) == "lr = 0.01"
    assert broken(edited) != "lr = 0.01"
    return (f"Right for the first draft. After one more import at the top it quotes "
            f"`{broken(edited)}`; the search for the name still finds `{repaired(edited)}`.")


@card("appendix", "it depends", chapter="17", rows=["E108"],
      holds="for Keras 3", fails="for Keras 2",
      right="PyTorch came with Keras 3, and JAX with it; Keras 2.4 "
            "ran on TensorFlow only, and before that it was TensorFlow, Theano and CNTK.")
def what_keras_runs_on():
    """Keras is a high-level interface to TensorFlow and PyTorch."""
    backends = {  # the release notes of 2.3.0, the README of 2.4, the page of 3.0.0 on PyPI
        "2.3": {"TensorFlow", "Theano", "CNTK"},
        "2.4": {"TensorFlow"},
        "3.0": {"TensorFlow", "JAX", "PyTorch"},
    }
    claimed = {"TensorFlow", "PyTorch"}
    both = [version for version, those in backends.items() if claimed <= those]
    assert both == ["3.0"] and claimed != backends["3.0"]
    return (f"By what came with versions {', '.join(backends)}, both are among the backends "
            f"in {len(both)} of {len(backends)}, and nowhere are they the only two.")


# --- counting and thanking --------------------------------------------------------------------


def words(text):
    return len(text)


def words_of_two_scripts(text):
    return len(re.findall(r"[\u4e00-\u9fff]|[A-Za-z0-9][A-Za-z0-9'-]*", text))


@card("appendix", "false", chapter="17", rows=["E107"],
      broken=words, repaired=words_of_two_scripts,
      right="`len` of a string counts characters: letters, spaces, hashes, line ends. A Chinese "
            "character counts as a word, a Latin word as one, markup as none.")
def how_long_is_the_article(broken, repaired):
    """This function counts the words of an article in Chinese and English."""
    text = "## 梯度下降 Gradient descent\n\n**步长** (learning rate) 不能太大。\n"
    assert repaired(text) == 14 and repaired("a well-known result") == 3
    assert broken(text) > 2 * repaired(text)
    return (f"A heading and a sentence: {repaired(text)} words, of which it makes {broken(text)}. "
            "Whoever asks for 8,000 words is soon told that they are there.")


@card("appendix", "it depends", chapter="17", rows=["E109"],
      holds="for items below each other", fails="with paragraphs between them",
      right="Markdown goes on counting only if that is "
            "indented, so that it belongs to the item above; else a new list begins at 1.")
def one_one_one():
    """In Markdown, items of a list that are each numbered `1.` are shown as 1, 2, 3."""
    import mistune

    def shown(text):
        numbers, count = [], 0
        for tag, start in re.findall(r'<(ol|li)(?: start="(\d+)")?>', mistune.html(text)):
            count = count + 1 if tag == "li" else int(start or 1) - 1
            numbers += [count] * (tag == "li")
        return numbers

    together = shown("1. initialise\n1. ask\n1. step\n")
    apart = shown("1. initialise\n\nAt random.\n\n1. ask\n\nFor a gradient.\n\n1. step\n")
    indented = shown("1. initialise\n\n   At random.\n\n1. ask\n\n   For a gradient.\n\n1. step\n")
    assert together == indented == [1, 2, 3] and apart == [1, 1, 1]
    return (f"Rendered: {together} for items below each other, {apart} with a paragraph after "
            f"each, {indented} with the paragraphs indented.")


def repeated(text):
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    return sorted({h for h in headings if headings.count(h) > 1})


def numbers_that_repeat(text):
    numbers = re.findall(r"^## (\d+)", text, re.MULTILINE)
    return sorted({n for n in numbers if numbers.count(n) > 1})


@card("appendix", "false", chapter="17", rows=["E109"],
      broken=repeated, repaired=numbers_that_repeat,
      right="Two sections of one number have different headings, so it is the numbers that must be "
            "compared. Better still, let a program number the sections.")
def section_five_twice(broken, repaired):
    """This function finds section numbers that a text uses twice."""
    text = "## 4. Limits\n## 5. Summary\n## 5. Questions\n## 6. Exercises\n"
    assert broken(text) == [] and repaired(text) == ["5"]
    assert repaired(text.replace("5. Q", "7. Q")) == []
    return (f"Where “5. Questions” follows “5. Summary”, it finds {len(broken(text))} numbers. "
            f"Compared without their headings, {repaired(text)[0]} stands there twice.")


@card("appendix", "false", chapter="17", rows=["E110"],
      right="It shows nothing: these are the names of examples, as John Doe is in English, common "
            "family names with the numerals from three to six. Thank people who helped, or nobody.")
def thanks_to_four_colleagues():
    """An article that thanks Zhang San (张三), Li Si (李四), Wang Wu (王五) and Zhao Liu (赵六)
    shows that four colleagues have read it."""
    given = [unicodedata.numeric(name[-1], None) for name in ("张三", "李四", "王五", "赵六")]
    assert given == [3, 4, 5, 6]
    assert unicodedata.numeric("梅", None) is None
    return ("The given names, by the numeric values that Unicode assigns: "
            f"{', '.join(f'{value:.0f}' for value in given)}.")
