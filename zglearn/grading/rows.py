"""The lines of the gradebook: what counts after marks by hand, lateness and failures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from zglearn.exercises.exercise import Exercise, all_exercises

from .store import Grade, Store

STATUSES = ("correct", "partly", "incorrect", "not_attempted", "error", "timeout", "refused")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Row:
    """One student and one exercise. `waiting` says that a person has yet to mark it; `submitted`
    is when the notebook was handed in, 0 if none was, and `graded` when it was graded; `shown` is
    how the gradebook puts the status:
    "3 of 4" where a person gave some of the points."""

    student: str
    exercise: Exercise
    points: float
    status: str
    message: str
    waiting: bool = False
    printed: str = ""
    answer: str = ""
    submitted: float = 0
    graded: float = 0
    by_hand: float | None = None

    @property
    def shown(self) -> str:
        if self.by_hand is not None and self.by_hand < self.max_points:
            return f"{self.by_hand:g} of {self.max_points}"
        return self.status

    @property
    def max_points(self) -> int:
        return self.exercise.points


def gradebook(store: Store) -> list[Row]:
    """All rows, by student and exercise."""
    marks, deadlines = store.marks(), store.deadlines()
    rows = []
    for grade in store.current():
        late = _days_late(grade.submitted, deadlines.get(grade.chapter))
        for exercise in all_exercises(grade.chapter):
            row = _row(grade, exercise)
            if (grade.student, exercise.id) in marks:
                row = _marked(row, *marks[grade.student, exercise.id])
            if late and row.points:
                row = _reduced(row, late, deadlines[grade.chapter][1])
            rows.append(row)
    return rows


def _row(grade: Grade, exercise: Exercise) -> Row:
    result = grade.result
    if result.get("absent"):
        said = {"status": "not_attempted", "message": "Nothing was handed in for this chapter."}
    elif "failed" in result:
        said = {"status": "error",
                "message": f"The grader failed, not the student: {_last_line(result['failed'])}"}
    elif "refused" in result:
        said = {"status": "refused", "message": f"{result['file']}: {result['refused']}"}
    else:
        said = result["verdicts"].get(exercise.id) or {
            "status": "refused", "message": "This exercise is newer than the grade."}
    status, message = said["status"], said["message"]
    waiting = status == "answered"
    if waiting:
        status, message = "correct", "Answered. The marks are provisional until a person reads it."
    elif status == "incorrect" and said.get("cause"):
        status = said["cause"]
    if result.get("files", 1) > 1:
        message += f" (Of {result['files']} notebooks handed in, {result['file']} was graded.)"
    return Row(grade.student, exercise, said.get("points", 0), status, message.strip(), waiting,
               said.get("printed", ""), result.get("answers", {}).get(exercise.id, ""),
               0 if result.get("absent") else grade.submitted, grade.at)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no reason given"


def _marked(row: Row, points: float, comment: str) -> Row:
    status = "correct" if points >= row.max_points else "partly" if points else "incorrect"
    return replace(row, points=points, by_hand=points, waiting=False, status=status,
                   message=f"Marked by hand. {comment}".strip())


def _days_late(submitted: float, deadline) -> int:
    """Days begun after the deadline by this machine's clock on the wall: the night in which the
    clocks are changed has a day of 23 or of 25 hours."""
    if not deadline or submitted <= deadline[0] + deadline[2]:
        return 0
    late = datetime.fromtimestamp(submitted) - datetime.fromtimestamp(deadline[0])
    return max(-(-late // DAY), 1)  # at least one, also in the hour that the clock shows twice


def _reduced(row: Row, days: int, percent: float) -> Row:
    off = min(days * percent, 100)
    note = f"{days} day{'s' * (days != 1)} late: {off:g} % off."
    return replace(row, points=round(row.points * (1 - off / 100), 2),
                   message=f"{row.message} {note}".strip())
