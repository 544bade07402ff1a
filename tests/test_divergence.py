"""Where a learner's method and the solution part."""

import re

import numpy as np
import pytest

from zglearn import paths
from zglearn.course import divergence as course_divergence
from zglearn.course import learner
from zglearn.course.cells import without_magics
from zglearn.course.divergence import divergence
from zglearn.course.two_paths import LANDSCAPE, STARTS, compared, solution_of, walk
from zglearn.exercises.exercise import all_exercises, find
from zglearn.exercises.originals import cells_of

METHODS = [e for e in all_exercises() if e.replay]

MOMENTUM = """
class Momentum:
    def __init__(self, lr, beta):
        self.lr, self.beta, self.velocity = lr, beta, 0.0
    def step(self, weights, gradient):
        {}
"""
ADAM = """
class Adam:
    def __init__(self, lr, beta1, beta2, eps):
        self.lr, self.b1, self.b2, self.eps = lr, beta1, beta2, eps
        self.first, self.second, self.t = 0.0, 0.0, 0
    def step(self, w, g):
        self.t += {count}
        self.first = self.b1 * self.first + (1 - self.b1) * g
        self.second = {second}
        m, v = self.first / (1 - self.b1**self.t), self.second / (1 - self.b2**self.t)
        return w - self.lr * m / (np.sqrt(v) + self.eps)
"""
PATH = """
def momentum_path(gradient, x0, lr, beta, steps):
    x, v = np.array(x0, dtype=float), np.zeros_like(x0)
    path = [x]
    for _ in range(steps):
        v = beta * v - lr * gradient(x{})
        x = x + v
        path.append(x)
    return np.array(path)
"""
RIGHT_MEAN = "self.b2 * self.second + (1 - self.b2) * g**2"
MISTAKES = {
    "the gradient is scaled": ("04.3", MOMENTUM.format(
        "self.velocity = self.beta * self.velocity + (1 - self.beta) * gradient\n"
        "        return weights - self.lr * self.velocity"), 1,
        "The velocity differs after step 1: your `velocity` is (-0.15, 1), the solution's "
        "(-1.5, 10)."),
    "never set": ("04.3", MOMENTUM.format("return weights - self.lr * gradient"), 2,
                  "The velocity differs after step 1: your `velocity` is 0, the solution's"),
    "no memory": ("04.3", MOMENTUM.replace(", self.velocity = lr, beta, 0.0", " = lr, beta").format(
        "return weights - self.lr * gradient"), 2,
        "Nothing that yours holds equals the solution's velocity, (-1.5, 10) after step 1"),
    "uphill": ("04.3", MOMENTUM.format(
        "self.velocity = self.beta * self.velocity + gradient\n"
        "        return weights + self.lr * self.velocity"), 1, "It goes the opposite way."),
    "nothing comes back": ("04.3", MOMENTUM.format("pass"), 1, "nothing came back (None)"),
    "an exception": ("04.3", MOMENTUM.format("return 1 / 0"), 1, "raised ZeroDivisionError"),
    "another shape": ("04.3", MOMENTUM.format("return [1.0]"), 1,
                      "it gives 1 numbers where the start has 2"),
    "asked at the start": ("04.4", PATH.format("0"), 2, "The velocity differs after step 2: your "
                           "`v` is (0.057, -0.38), the solution's (0.0564, -0.34)."),
    "counts by two": ("07.3", ADAM.format(count=2, second=RIGHT_MEAN), 1,
                      "The count of the steps differs after step 1: your `t` is 2, the solution's "
                      "1."),
    "the largest second moment": ("07.3", ADAM.format(
        count=1, second=f"np.maximum(self.second, {RIGHT_MEAN})"), 6, "second moment differs"),
}


def names_after(source: str) -> dict:
    names = {"np": np, "__name__": "__main__"}
    exec(source, names)
    return names


def compare(exercise, names, start=STARTS[0]):
    return compared(exercise, names[exercise.replay.name], solution_of(exercise), start,
                    **exercise.replay.hyper)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_first_step_that_differs_and_what_differs_in_it(name):
    id, source, step, said = MISTAKES[name]
    found = compare(find(id), names_after(source))
    assert said in found.said
    assert name == "the largest second moment" or found.step == step
    mine, right = found.yours.points, found.solution.points
    n = min(found.step, len(mine))
    np.testing.assert_allclose(mine[:n], right[:n], rtol=1e-4)


def test_another_scale_of_the_same_quantity_is_not_blamed():
    """Polyak's velocity has the rate in it: it is right, and what differs is the step."""
    twice = MOMENTUM.format("self.velocity = self.beta * self.velocity + self.lr * gradient\n"
                            "        return weights - {} * self.velocity")
    assert compare(find("04.3"), names_after(twice.format(1))).step is None
    found = compare(find("04.3"), names_after(twice.format(2)))
    assert (found.step, found.said.splitlines()[1]) == (
        1, "It goes the same way, and is 2 times as long as the solution's.")


def test_what_is_kept_from_one_use_to_the_next_is_found():
    shared = MOMENTUM.format("Momentum.v = self.beta * getattr(Momentum, 'v', 0) + gradient\n"
                             "        return weights - self.lr * Momentum.v")
    assert "kept from one use to the next" in compare(find("04.3"), names_after(shared)).said


@pytest.mark.parametrize("exercise", METHODS, ids=lambda e: e.id)
def test_a_right_answer_walks_as_the_solution_does(exercise):
    """The solution itself, and the right trials; only a decay after the step is another path."""
    cells = dict(cells_of(paths.notebook("solutions", exercise.chapter)))
    tried = 0
    for source in cells.values():
        line, _, body = source.partition("\n")
        if not re.match(rf"%%trial {exercise.id} right (?!the decay after)", line):
            continue
        names = names_after(without_magics(cells["setup"]))
        exec(body, names)
        for start in STARTS:
            found = compare(exercise, names, start)
            assert found.step is None, (line, found.said)
            assert len(found.solution.points) == 41
        tried += 1
    assert tried
    solution = {exercise.replay.name: solution_of(exercise)}
    found = compare(exercise, solution)
    assert found.step is None and "the same for 40 steps" in found.said
    for names in exercise.replay.holds.values():  # the first name is the solution's own
        assert names[0] in found.solution.held[1]


# --- what a learner sees ----------------------------------------------------------------------


def scaled():
    return names_after(MISTAKES["the gradient is scaled"][1])


def test_the_widget_pauses_where_they_part_and_hides_the_solutions_code():
    widget = divergence("04.3", scaled())
    layers = widget.layers()
    assert [y["at"] for y in layers if y["kind"] == "pause"] == [1]
    assert {y["label"] for y in layers if y["panel"] == "map" and y["kind"] == "line"} == {
        "yours", "the solution"}
    assert any(y["panel"] == "inside" and y["group"] == "velocity" for y in layers)
    seen = repr(widget.get_state()) + repr(layers)
    assert not [line for line in learner.solution_source(find("04.3")).splitlines()
                if len(line.strip()) > 20 and line.strip() in seen]
    walks = [walk(find("04.3").replay.drive, made, STARTS[0], 3, dict(lr=0.1, beta=0.9))
             for made in (scaled()["Momentum"], solution_of(find("04.3")))]
    x = next(y for y in widget.layers("paths", lr=0.1, steps=5) if y.get("label") == "yours")["x"]
    np.testing.assert_allclose(x[:4], walks[0].points[:, 0], rtol=1e-6)  # its sliders are heard


def test_a_wrong_method_is_offered_a_comparison(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, **_: shown.append(what))
    verdict = learner.check("04.3", scaled())
    assert verdict.status == "incorrect" and 'divergence("04.3")' in repr(verdict)
    verdict._ipython_display_()
    bundle, offer = shown
    assert "Not yet" in bundle["text/html"]
    offer.show_me.click()
    assert offer.children[1].title.startswith("04.3 An optimizer that remembers")
    offer.names = {"Momentum": ...}  # the kernel has been restarted, say
    offer.show_me.click()
    assert "run the answer cell first" in offer.children[1].value


def test_without_solutions_it_says_so(monkeypatch, tmp_path):
    for name in ("exercises", "chapters"):
        (tmp_path / name).symlink_to(paths.home() / name)
    monkeypatch.setenv("ZGLEARN_HOME", str(tmp_path))
    assert "not in this copy of the course" in repr(divergence("04.3", scaled()))
    verdict = learner.check("04.3", scaled())
    assert verdict.status == "incorrect" and "divergence" not in repr(verdict)


@pytest.mark.parametrize("id, names, said", [
    ("04.2", {}, "no method that walks step by step"), ("04.3", {}, "run the answer cell first"),
    ("04.99", {}, "there is no exercise")])
def test_where_there_is_nothing_to_compare(id, names, said):
    with pytest.raises(learner.CourseError, match=said):
        divergence(id, names)


def test_an_endless_loop_is_told(monkeypatch):
    monkeypatch.setattr(course_divergence, "TIME_LIMIT", 0.5)
    endless = names_after(MOMENTUM.format("while True: pass"))
    assert "Still running after 0.5 seconds" in repr(divergence("04.3", endless))


def test_a_right_or_an_unwritten_answer_is_offered_nothing():
    right = {"Momentum": solution_of(find("04.3"))}
    right["Momentum"].__module__ = "__main__"
    assert "divergence" not in repr(learner.check("04.3", right))
    assert "divergence" not in repr(learner.check("04.3", {}))
    assert LANDSCAPE.dimension == 2
