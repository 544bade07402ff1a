"""The misconception map: for each exercise how many solved it, and which mistakes the others made.

The checks name mistakes; here they are counted over the class. The exercises that most of those who
tried did not solve come first: they are what a lecture should repeat.
"""

from __future__ import annotations

import html
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from zglearn.exercises.exercise import Exercise, all_exercises, inline_code

from . import reading
from .inputs import shown
from .store import Store

NAMED = re.compile(r"It looks as if (.+?)\.?$", re.S)
USUAL = re.compile(r"Usual cause: (.+?)\.?$", re.S)
RAISED = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Exit|Interrupt))\b")
NUMBERS = re.compile(r"(?<![\w.])[-+−]?\d[\d.,]*+(?:e[-+]?\d+)?")
CASE = re.compile(r"^(?:\w+ = …,? ?)++: ")  # "lr = …, beta = …: " tells nothing without its numbers
LONGEST = 240  # characters of a mistake
EXAMPLES = 2  # answers shown with each mistake
WORST = 5  # mistakes in the summary on top
COLUMNS = ("exercise", "title", "students", "tried", "solved", "mistake", "named", "made_by",
           "share_of_tried")
LEGEND = ("<p>Below, each exercise: what most did not solve first. In the bars, blue has all "
          "points, orange tried, grey did not. A line opens to two of the answers.</p>")
STYLE = """<style>.bar { display: flex; height: .6rem; background: #8884; margin: .3rem 0 }
.bar i { background: #0072b2 } .bar b { background: #d55e00 } .count { font-weight: 600 }
ol.worst li { margin: .3rem 0 } details { margin: .4rem 0 } pre { padding: .5rem;
border-left: 3px solid #d55e00; font-size: .85rem } section { break-inside: avoid }</style>"""


@dataclass
class Mistake:
    """What some students did. `named` says that the check knows it; `answers` are theirs."""

    text: str
    named: bool
    answers: list[str] = field(default_factory=list)


@dataclass
class Topic:
    """An exercise as the class did it. `open` answers wait for a person, and count as solved."""

    exercise: Exercise
    students: int = 0
    tried: int = 0
    solved: int = 0
    mistakes: list[Mistake] = field(default_factory=list)


def mistake(verdict: dict) -> tuple[str, bool]:
    """What a verdict says that the student did, without the numbers of the case, and whether the
    check named it (or only the usual cause, or the difference)."""
    message, cause = verdict["message"], verdict.get("cause", "")
    if cause == "timeout":
        return "it did not end in time", False
    if cause == "error":
        if raised := RAISED.search(message):
            return f"it stopped with {raised[1]}", False
    for pattern, named in ((NAMED, True), (USUAL, False)):
        if found := pattern.search(message):
            said = found[1] if named else f"usually: {found[1]}"
            return _short(said), named
    if verdict.get("told") == "bare":
        return "another value than the one that was asked for", False
    return _short(CASE.sub("", NUMBERS.sub("…", message))), cause != "error"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def topics(store: Store) -> list[Topic]:
    """What each exercise met with, the one that most tried and did not solve first."""
    found: dict[str, Topic] = {}
    made: dict[str, dict[str, Mistake]] = defaultdict(dict)
    exercises = {e.id: e for e in all_exercises()}
    marks = store.marks()
    for grade in store.current():
        for id, verdict in grade.result.get("verdicts", {}).items():
            if id not in exercises:
                continue
            topic = found.setdefault(id, Topic(exercises[id]))
            topic.students += 1
            topic.tried += verdict["status"] != "not_attempted"
            points, _ = marks.get((grade.student, id), (verdict["points"], ""))
            topic.solved += points >= exercises[id].points
            if verdict["status"] == "incorrect" and verdict.get("cause") != "refused":
                text, named = mistake(verdict)
                same = made[id].setdefault(text, Mistake(text, named))
                same.answers.append(grade.result.get("answers", {}).get(id, ""))
    for id, topic in found.items():
        topic.mistakes = sorted(made[id].values(), key=lambda m: (-len(m.answers), m.text))
    return sorted(found.values(), key=lambda t: (t.solved - t.tried, t.exercise.chapter,
                                                 t.exercise.id))


def table(found: list[Topic]) -> Iterator[tuple]:
    """The map as lines of a table: one for each mistake."""
    yield COLUMNS
    for topic in found:
        e = topic.exercise
        head = e.id, e.title, topic.students, topic.tried, topic.solved
        for m in topic.mistakes:
            yield (*head, m.text, "yes" if m.named else "no", len(m.answers),
                   f"{len(m.answers) / topic.tried:.2f}")
        if not topic.mistakes:
            yield (*head, "", "", 0, "0.00")


def page(found: list[Topic]) -> str:
    """The map as the body of a page, with two answers to each mistake: without names, and without
    comments, in which a name may stand."""
    chosen = {id(m): _examples(m) for topic in found for m in topic.mistakes}
    texts = [text for answers in chosen.values() for text in answers]
    bare = {text: said.get("text", "") for text, said, _ in reading.each(_without_comments, texts)}
    examples = {key: [bare[text] for text in answers] for key, answers in chosen.items()}
    return "".join([STYLE, "<h1>What the class got wrong</h1>", _worst(found), LEGEND,
                    *(_section(topic, examples) for topic in found)])


def _worst(found) -> str:
    pairs = [(len(m.answers), topic.exercise, m.text) for topic in found for m in topic.mistakes
             if m.named]
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return "<p>No check has named a mistake.</p>"
    lines = "".join(f"<li><span class=count>{count} ×</span> {_text(text)} ({e.id} "
                    f"{html.escape(e.title)})</li>" for count, e, text in pairs[:WORST])
    return f"<h2>To repeat</h2><ol class=worst>{lines}</ol>"


def _section(topic: Topic, examples: dict[int, list[str]]) -> str:
    e, lost = topic.exercise, topic.tried - topic.solved
    bar = "".join(f'<{tag} style="flex: {count}"></{tag}>' for tag, count in
                  (("i", topic.solved), ("b", lost), ("span", topic.students - topic.tried)))
    lines = [f"<section><h2>{e.id} {html.escape(e.title)}</h2><div class=bar>{bar}</div>"
             f"<p>{topic.solved} of {topic.tried} who tried have all points; "
             f"{topic.students - topic.tried} did not try. To read: chapter {e.chapter}.</p>"]
    for m in topic.mistakes:
        shown_ones = "".join(f"<pre>{html.escape(shown(text))}</pre>"
                             for text in examples[id(m)] if text.strip())
        said = f"<span class=count>{len(m.answers)} ×</span> {_text(m.text)}"
        lines.append(f"<details><summary>{said}</summary>{shown_ones}</details>")
    return "".join([*lines, "</section>"])


def _text(text: str) -> str:
    return inline_code(shown(text))


def _examples(m: Mistake) -> list[str]:
    """The shortest different answers: the mistake is seen best where little else is."""
    return sorted(set(m.answers), key=lambda text: (len(text), text))[:EXAMPLES]


def _without_comments(source: str) -> Iterator[dict]:
    """In a process that may die of it."""
    lines = source.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column].rstrip()
    except (tokenize.TokenError, SyntaxError):
        lines = [line for line in lines if not line.lstrip().startswith("#")]
    yield {"text": re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()}
