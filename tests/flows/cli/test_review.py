"""Reviews in a terminal."""

from pathlib import Path

import pytest

from flows.cli.review import print_list, print_outcome, print_review
from tasks.promotion.review.pending import Pending
from tests.tasks.promotion.review.test_markdown import make_report

DECIDED = {"decision": "reject", "reviewer": "Ann", "comment": "Slow.", "time": "now"}


def test_the_list_says_who_is_candidate_and_what_is_to_be_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_list([Pending("topics", 2, None, make_report().review, "waits for a decision")])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "candidate", "champion", "state"]
    assert row.split() == ["topics", "2", "-", "waits", "for", "a", "decision"]
    print_list([])
    assert "No model of params.yaml is registered" in capsys.readouterr().out


def test_a_review_is_shown_with_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    print_review(make_report(), page)
    said = capsys.readouterr()
    assert "topics version 2 against 1" in said.out
    assert f"The whole page is in {page}\n" in said.err
    assert "To decide: downstream review approve|reject topics --comment TEXT\n" in said.err
    assert page.read_text() == "<!doctype html>"
    print_review(make_report(1, DECIDED), None)
    said = capsys.readouterr()
    assert "downstream review show topics --html FILE" in said.err
    assert "To decide" not in said.err


def test_the_outcome_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    for report in (make_report(), make_report(1, DECIDED)):
        print_outcome(report.review)
    assert capsys.readouterr().err == (
        "topics version 2 against 1: waits for a decision: `downstream review show topics`\n"
        "topics version 2 against 1: rejected by Ann at now: Slow.\n"
    )
