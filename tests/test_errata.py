"""The errata clinic: every card's evidence decides its claim, and would notice if it did not."""

import re
from pathlib import Path

import nbformat
import pytest

from zglearn.authoring import clinic_kit, notebooks
from zglearn.course import clinic_panel
from zglearn.course.clinic_panel import ClinicPanel, Ward, scoreboard, to_judge
from zglearn.exercises import sealed
from zglearn.exercises.cards import (
    ABOUT_EVERY_CASE,
    THEMES,
    VERDICTS,
    card,
    cards,
    failure,
    forget_article,
    spoken,
)

ROOT = Path(__file__).parents[1]
CARDS = cards()
PROGRAMS = [c for c in CARDS if c.broken]


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_the_evidence_decides_the_claim(card):
    found = card.examine()
    assert len(found.text.split()) >= 6


@pytest.mark.parametrize("card", PROGRAMS, ids=lambda c: c.name)
def test_a_program_and_its_repair_are_told_apart(card):
    """With the broken program for both, or the repaired one, the evidence must not stand."""
    for program in (card.broken, card.repaired):
        with pytest.raises(Exception):  # noqa: B017 - whatever way it fails
            card.examine(program, program)


def test_every_row_of_the_errata_table_has_a_card():
    served = {row for c in CARDS for row in c.rows}
    assert [row for n in range(1, 122) if (row := f"E{n:02}") not in served] == []


def test_the_table_of_mistakes_names_every_card():
    text = (ROOT / "docs" / "COVERAGE.md").read_text("utf-8")
    rows = re.findall(r"^\| (.*?) \| .* \| (E\d+) \|$", text, re.M)
    named = {(row, name) for names, row in rows for name in re.findall(r"`(\w+)`", names)}
    assert named == {(row, c.name) for c in CARDS for row in c.rows}


def test_a_claim_depends_only_if_it_speaks_of_some_cases_and_says_where():
    """The verdicts' one rule, as far as words can hold it."""
    for c in CARDS:
        assert bool(c.holds) == bool(c.fails) == (c.verdict == "it depends")
        if c.verdict == "it depends":
            assert not ABOUT_EVERY_CASE.search(spoken(c.claim)), c.claim
            assert f"It holds {c.holds}; it fails {c.fails}. " in c.ground


def test_the_first_page_states_the_rule_word_for_word():
    intro = notebooks.read(ROOT / "chapters" / "17_errata_clinic.ipynb").cells[0].source
    for verdict, rule in VERDICTS.items():
        assert f"**{verdict.capitalize()}.** {rule}" in " ".join(intro.split())


@pytest.mark.parametrize("claim", [
    "Every method that is fast is good.", "It works, so it is right.", "Adam can be slow.",
    "A loss doesn't rise.", "No network learns that."])
def test_what_is_said_of_every_case_does_not_depend(claim):
    def a_claim():
        pass

    a_claim.__doc__ = claim
    with pytest.raises(ValueError, match="speaks of every case"):
        card("writing", "it depends", right="It does.", chapter="14", rows=[], holds="here",
             fails="there")(a_claim)


def test_claims_differ_and_are_spread_over_the_verdicts():
    assert len({c.claim for c in CARDS}) == len(CARDS)
    assert {c.theme for c in CARDS} == set(THEMES)
    for verdict in ("true", "it depends"):
        assert sum(c.verdict == verdict for c in CARDS) >= 10


def test_the_scoreboard_counts_every_program():
    assert sum(crashed + silent for _, crashed, silent in scoreboard()) == len(PROGRAMS)


def test_a_function_that_does_not_fail_is_told():
    with pytest.raises(AssertionError, match="did not fail"):
        failure(len, "abc")


@pytest.mark.parametrize("settings, complaint", [
    ({"theme": "cooking"}, "no theme"),
    ({"verdict": "perhaps"}, "verdict must be one of"),
    ({"right": " "}, "`right` is empty"),
    ({"broken": len}, "come together"),
    ({"verdict": "it depends", "holds": "here"}, "belong to what depends"),
    ({"holds": "here", "fails": "there"}, "belong to what depends"),
])
def test_a_malformed_card_is_refused(settings, complaint):
    def a_claim():
        """Water is wet."""

    good = {"theme": "writing", "verdict": "true", "right": "It is.", "chapter": "14", "rows": []}
    with pytest.raises(ValueError, match=complaint):
        card(**{**good, **settings})(a_claim)


# --- in the notebook ----------------------------------------------------------------------------


def test_a_vote_is_answered_with_the_evidence_and_counted():
    panel = ClinicPanel("gradient")
    first = panel.queue[0]
    assert first.claim.split()[0] in panel.to_html() and first.right not in panel.to_html()
    panel.judge(first.verdict)
    assert "You agree" in panel.to_html() and "1 of 1" in panel.to_html()
    panel.next_card()
    second = panel.queue[0]
    wrong = next(v for v in ("true", "false") if v != second.verdict)
    panel.judge(wrong)
    assert f"You said: {wrong}" in panel.to_html() and "1 of 2" in panel.to_html()


def test_misjudged_cards_come_after_new_ones_and_before_the_others(monkeypatch, tmp_path):
    monkeypatch.setenv("ZGLEARN_PROGRESS", str(tmp_path / "progress.sqlite"))
    good, bad, *new = to_judge("momentum")
    panel = ClinicPanel("momentum")
    panel.judge(good.verdict)
    panel.next_card()
    panel.judge(next(v for v in VERDICTS if v != bad.verdict))
    assert to_judge("momentum") == [*new, bad, good]


def test_the_last_card_is_followed_by_the_score():
    panel = ClinicPanel("momentum")
    while panel.queue:
        panel.judge(panel.queue[0].verdict)
        panel.next_card()
    n = len(cards("momentum"))
    assert "last card" in panel.to_html() and f"{n} of {n}" in panel.to_html()


def test_one_vote_a_card_and_once_more_after_the_last(monkeypatch, tmp_path):
    monkeypatch.setenv("ZGLEARN_PROGRESS", str(tmp_path / "progress.sqlite"))
    panel = ClinicPanel("momentum")
    assert panel.next.disabled and not any(vote.disabled for vote in panel.votes)
    missed = panel.queue[0]
    panel.judge(next(v for v in VERDICTS if v != missed.verdict))
    assert not panel.next.disabled and all(vote.disabled for vote in panel.votes)
    while panel.queue:
        panel.next_card()
        if panel.queue:
            panel.judge(panel.queue[0].verdict)
    panel.next_card()
    assert panel.queue[0] == missed and "misjudged it" in panel.body.value


def test_a_ward_shows_claim_verdict_and_run_in_text_and_html():
    shown = Ward("momentum")
    for c, found in shown.findings:
        assert c.claim in repr(shown) and found in repr(shown)
    assert shown._repr_html_().count("The run:") == len(shown.findings)


# --- an instructor's own article --------------------------------------------------------------


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """`run(name)` of the command `clinic`, in a course of its own."""
    monkeypatch.setenv("ZGLEARN_HOME", str(tmp_path))
    yield lambda name="week_3": clinic_kit.main([name])
    for folder in tmp_path.glob("clinic/*/"):
        forget_article(folder)


def test_an_article_of_ones_own_takes_one_folder(kit, tmp_path, capsys):
    folder = tmp_path / "clinic/week_3"
    assert kit() == 0 and "change article.md and cards.py" in capsys.readouterr().out
    assert kit() == 0 and "1 cards, and each run decides" in capsys.readouterr().out
    made = nbformat.read(folder / "week_3.ipynb", as_version=4)
    assert made.cells[0].source == (folder / "article.md").read_text().strip()
    (own,) = cards("week_3")
    assert own in cards() and own.examine().text.startswith("The best of 100 learning rates")
    panel = clinic_panel.clinic("week_3")
    assert "An article to review" in panel.question()
    panel.judge("false")
    assert "You agree with the run" in panel.verdict() and "An article" in panel.score()
    sealed.seal(folder, b"key")
    forget_article(folder)
    assert [c.name for c in cards("week_3")] == ["one_step_is_enough"]


def test_an_article_that_does_not_hold_is_told(kit, tmp_path, capsys):
    assert kit("Week 3") == 1 and "small letters" in capsys.readouterr().err
    assert kit("momentum") == 1 and "is taken" in capsys.readouterr().err
    assert kit() == 0
    path = tmp_path / "clinic/week_3/cards.py"
    whole = path.read_text()
    for old, new, why in [("left > 0.5", "left < 0.5", "does not decide the claim"),
                          ('"false"', '"wrong"', "the verdict must be one of"),
                          ("def one", "deff one", "SyntaxError"),
                          ('"week_3"', '"other"', "no theme"), (whole, "", "has no card")]:
        path.write_text(whole.replace(old, new))
        assert kit() == 1
        said = capsys.readouterr().err
        assert why in said and "Traceback" not in said, said
