"""Variants: other letters, other numbers, other traps for each student, and a grader that knows."""

import csv
import json
import re

import nbformat
import pytest

from zglearn import paths
from zglearn.authoring import release
from zglearn.authoring.roster import BadRoster, read_roster
from zglearn.authoring.trials import trials_of
from zglearn.exercises import variants
from zglearn.exercises.answer import LocalNamespace
from zglearn.exercises.exercise import all_exercises, find, judge
from zglearn.exercises.originals import is_untouched
from zglearn.grading import command as grade

CHOICES = [e for e in all_exercises() if e.options]
VARIED = [e for e in all_exercises() if e.variants]
SEEDS = ("", "1", "two", "drei", "4")


def tasks(exercise) -> str:
    notebook = json.loads(paths.notebook("exercises", exercise.chapter).read_text())
    tail = exercise.id.replace(".", "-")
    return "\n\n".join("".join(cell["source"]) for cell in notebook["cells"]
                       if cell["id"] in (f"ex-{tail}", f"task-{tail}", f"ans-{tail}"))


def verdict(exercise, value, seed):
    names = LocalNamespace({exercise.names[0]: value})
    return judge(exercise, names, 0, whose=seed).status


@pytest.mark.parametrize("exercise", CHOICES, ids=lambda e: e.id)
def test_the_letters_of_every_choice_are_dealt_anew_and_the_check_knows(exercise):
    plain = dict(re.findall(r"^- \*\*([a-z])\*\* (.*)$", tasks(exercise), re.M))
    (right,) = [key for key in exercise.options if verdict(exercise, key, "") == "correct"]
    letters = set()
    for seed in SEEDS:
        mine = dict(re.findall(r"^- \*\*([a-z])\*\* (.*)$",
                               variants.text(exercise, seed, tasks(exercise)), re.M))
        assert sorted(mine.values()) == sorted(plain.values()) and list(mine) == list(plain)
        (letter,) = [key for key, text in mine.items() if text == plain[right]]
        accepted = [key for key in mine if verdict(exercise, key, seed) == "correct"]
        assert accepted == [letter]
        letters.add(letter)
    assert len(letters) > 1


@pytest.mark.parametrize("exercise", VARIED, ids=lambda e: e.id)
def test_every_variant_changes_what_is_asked(exercise):
    seeds = [str(n) for n in range(40)]
    texts = {variants.text(exercise, seed, tasks(exercise)) for seed in seeds}
    assert len(texts) == len(exercise.variants) and tasks(exercise) in texts
    for value in exercise.variants[0].values():
        assert str(value) in tasks(exercise)


def answered(path, answers):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.id in answers:
            cell.source = answers[cell.id]
    return nbformat.writes(notebook)


def right_answers(seed) -> dict[str, str]:
    """Answer cells of chapter 04 that are right in the variants of a seed."""
    solutions = nbformat.read(paths.notebook("solutions", "04"), as_version=4)
    found = {f"ans-{t.exercise.id.replace('.', '-')}": t.source for t in trials_of(solutions)
             if t.name == "the course's own answer"}
    e = find("04.1")
    (letter,) = [key for key in e.options if verdict(e, key, seed) == "correct"]
    beta = variants.of(find("04.8"), seed)["beta"]
    return found | {"ans-04-1": f"answer_04_1 = {letter!r}",
                    "ans-04-8": f"answer_04_8 = {(1 - beta**2) ** -0.5}"}


def test_a_passed_on_answer_fails_and_ones_own_is_right(tmp_path, capsys):
    roster = tmp_path / "roster.csv"
    roster.write_text("Student;Seed\nanna;7\nbob;8\neve;9\n")
    assert release.main(["--out", str(tmp_path / "out"), "--only", "04", "--roster",
                         str(roster)]) == 0
    assert "Keep" in capsys.readouterr().out
    seeds = read_roster(tmp_path / "out-seeds.csv")
    assert seeds == {"anna": "7", "bob": "8", "eve": "9"}
    assert not list((tmp_path / "out/exercises").glob("*.ipynb"))
    own = {name: tmp_path / f"out-for-each-student/{name}/04_momentum.ipynb" for name in seeds}
    assert all(map(is_untouched, own.values()))
    assert len({path.read_text() for path in own.values()}) == 3
    passed_on = right_answers("7")
    e = {id: variants.of(find(id), "8") for id in ("04.1", "04.8")}
    assert e != {id: variants.of(find(id), "7") for id in e}
    for name, text in {"anna": answered(own["anna"], passed_on),  # her own
                       "bob": answered(own["bob"], passed_on),  # her answers in his notebook
                       "eve": answered(own["anna"], passed_on)}.items():  # her notebook
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "04_momentum.ipynb").write_text(text)
    assert grade.main([str(tmp_path / "class"), "--out", str(tmp_path / "grades"),
                       "--roster", str(tmp_path / "out-seeds.csv")]) == 0
    with open(tmp_path / "grades/gradebook.csv", newline="") as file:
        book = {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}
    status = {name: [book[name, e.id]["status"] for e in all_exercises("04")] for name in own}
    assert set(status["anna"]) == {"correct"}
    assert "incorrect" in (book["bob", "04.1"]["status"], book["bob", "04.8"]["status"])
    assert "refused" in status["eve"]
    assert any("handed out to somebody else" in book["eve", e.id]["message"]
               for e in all_exercises("04"))


@pytest.mark.parametrize(("text", "why"), [
    ("name\nanna", "needs the columns"), ("student,seed\nanna,1\nanna,2", "twice"),
    ("student,seed\n,1", "no student"), ("student,seed\nanna", "has no seed")])
def test_a_roster_that_cannot_be_read_names_the_line(tmp_path, text, why):
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(BadRoster, match=why):
        read_roster(tmp_path / "roster.csv")


def test_a_learner_has_the_variants_of_the_notebook(monkeypatch):
    from zglearn.course import check

    monkeypatch.setattr(variants, "_seed", "")
    wanted = right_answers("7")["ans-04-1"].split('"')[-1].split("'")[1]
    variants.use_seed("7")
    assert check("04.1", {"answer_04_1": wanted}).status == "correct"
