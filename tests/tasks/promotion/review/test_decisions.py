"""A decision is made once, by somebody with a reason, and carried out in any case.

What is promoted is what was reviewed; what differs is named.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BadInput
from tasks.promotion.review import decisions, subject
from tasks.promotion.review.decisions import (
    AlreadyDecided,
    BadAnswer,
    decide,
    outcome,
    request_and_decide,
)
from tasks.promotion.review.requests import request
from tasks.promotion.review.store import Review, latest
from tasks.promotion.review.subject import NothingToReview
from tasks.tracking.audit.aliases import move
from tasks.tracking.audit.log import aliases_of, read_log
from tasks.tracking.audit.writer import Change, claim
from tasks.tracking.store import opened
from tests.registry import bind
from tests.tasks.promotion.scene import MODEL, Scene


def _aliases() -> dict[str, int]:
    with opened() as client:
        return aliases_of(client, MODEL)


def _log(action: str) -> list[Any]:
    with opened() as client:
        return [entry for entry in read_log(client, MODEL).entries if entry["action"] == action]


def test_approval_moves_champion_keeps_previous_and_is_on_record(reviewed: Scene) -> None:
    review = decide(latest(MODEL), "approve", " Better\n everywhere. ", "Bob")
    assert _aliases() == {"candidate": 2, "champion": 2, "previous": 1}
    (entry,) = [one for one in _log("approve") if one["version_to"] == 2]
    assert (entry["alias"], entry["version_from"]) == ("champion", 1)
    assert (entry["actor"], entry["reason"]) == ("Bob", "Better everywhere.")
    assert entry["evidence"] == {
        "review": review.id,
        "run": review.run_id,
        "test_split": review.subject.test_split,
        "code": review.subject.code,
        "settings": review.subject.settings,
        **review.evidence,
    }
    with opened() as client:
        tags = client.get_model_version(MODEL, "2").tags
        run = client.get_run(review.run_id).data.tags
    assert tags["review"] == "approved"
    assert (run["downstream.review_decision"], run["downstream.review_by"]) == ("approved", "Bob")


def test_rejection_moves_nothing_and_is_on_record(reviewed: Scene) -> None:
    decide(latest(MODEL), "reject", "Too slow.")
    assert _aliases() == {"candidate": 2, "champion": 1}
    (entry,) = _log("reject")
    assert (entry["alias"], entry["version_to"], entry["actor"]) == (None, 2, "Ann")
    with opened() as client:
        assert client.get_model_version(MODEL, "2").tags["review"] == "rejected"


def test_who_comes_second_is_told_who_was_first(reviewed: Scene) -> None:
    review = latest(MODEL)
    decide(review, "reject", "Too slow.", "Bob")
    with pytest.raises(AlreadyDecided, match=r"was rejected by Bob at .*: Too slow\.$"):
        decide(review, "approve", "I like it.", "Eve")
    assert outcome(request(MODEL)).startswith("rejected by Bob at ")
    assert _aliases()["champion"] == 1


@pytest.mark.parametrize(
    ("decision", "comment", "reviewer", "message"),
    [
        (
            "aprove",
            "Good.",
            "Bob",
            r"^decision: no 'aprove'; allowed: approve, reject; did you mea",
        ),
        (
            "approve",
            " \n",
            "Bob",
            r"^comment: it is empty; it is recorded, so that others can unde",
        ),
        ("approve", "Good.", " ", r"^reviewer: it is empty; "),
        ("approve", "x" * 2001, "Bob", r"^comment: 2,001 characters are too long to be recorded: "),
    ],
)
def test_an_answer_that_says_nothing_is_refused(
    decision: str, comment: str, reviewer: str, message: str
) -> None:
    nobody: Any = None
    with pytest.raises(BadAnswer, match=message):
        decide(nobody, decision, comment, reviewer)


def _claim_and_die(review: Review, decision: str, time: str) -> None:
    """Do what a process does that is killed right after its claim."""
    intent = {
        "decision": decision,
        "comment": "Good.",
        "reviewer": "Bob",
        "time": time,
        "token": "1",
    }
    with opened() as client:
        claim(client, MODEL, f"decision.{review.id}", intent)


def test_a_decision_whose_process_was_killed_is_carried_out_by_the_next_command(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    _claim_and_die(latest(MODEL), "approve", "2026-01-01T00:00:00+00:00")
    with pytest.raises(AlreadyDecided):
        decide(latest(MODEL), "reject", "Too slow.", "Eve")
    assert "carried out now, since that was interrupted" in capsys.readouterr().err
    assert _aliases() == {"candidate": 2, "champion": 2, "previous": 1}
    (entry,) = [one for one in _log("approve") if one["version_to"] == 2]
    assert entry["actor"] == "Bob"


def test_a_decision_that_is_under_way_elsewhere_is_left_alone(reviewed: Scene) -> None:
    _claim_and_die(latest(MODEL), "approve", "2999-01-01T00:00:00+00:00")
    with opened() as client:
        decisions.carry_out_abandoned(client, MODEL)
    assert _aliases()["champion"] == 1


def test_a_killed_decision_lapses_if_the_champion_has_moved_since(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    review = latest(MODEL)
    _claim_and_die(review, "approve", "2026-01-01T00:00:00+00:00")
    with opened() as client:
        move(client, MODEL, Change("rollback", "champion"))
        for _ in range(2):
            decisions.carry_out_abandoned(client, MODEL)
    assert "champion" not in _aliases()
    (entry,) = _log("lapse")
    assert entry["evidence"]["review"] == review.id
    assert "not carried out: topics version 2 against 1: the aliases have moved" in entry["reason"]


def test_of_two_at_the_same_moment_one_decides_and_the_other_is_told(reviewed: Scene) -> None:
    review = latest(MODEL)

    def decide_as(reviewer: str) -> str:
        try:
            return f"won: {decide(review, 'approve', 'Mine.', reviewer).decided}"
        except AlreadyDecided as error:
            return str(error)

    with ThreadPoolExecutor(2) as both:
        said = dict(zip(("Bob", "Eve"), both.map(decide_as, ("Bob", "Eve")), strict=True))
    (winner,) = [name for name, one in said.items() if one.startswith("won: ")]
    (told_off,) = {"Bob", "Eve"} - {winner}
    assert f"was approved by {winner} at " in said[told_off]
    assert [one["actor"] for one in _log("approve") if one["version_to"] == 2] == [winner]


def test_of_two_claims_that_cross_the_first_holds(
    reviewed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = latest(MODEL)
    _claim_and_die(review, "reject", "2999-01-01T00:00:00+00:00")
    # As if the other had claimed after this process had looked.
    monkeypatch.setattr(decisions, "find", lambda *_: None)
    with pytest.raises(AlreadyDecided, match=r"was rejected by Bob at "):
        decide(review, "approve", "Mine.", "Eve")
    assert _aliases()["champion"] == 1


def test_a_review_can_be_decided_that_was_read_before_another_was_made(reviewed: Scene) -> None:
    review = latest(MODEL)
    assert decide(replace(review, decided=None), "approve", "Good.").decided is not None


def test_a_policy_decides_by_itself_and_says_why(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.configure({"review": {"policy": "auto_if_better"}})
    review = request_and_decide(MODEL)
    assert review.decided is not None
    assert (review.decided["decision"], review.decided["reviewer"]) == (
        "approve",
        "policy auto_if_better",
    )
    assert "significantly better (McNemar's exact test" in review.decided["comment"]


def test_a_missed_gate_rejects_under_the_manual_policy_too(reviewed: Scene) -> None:
    reviewed.configure({"serving": {"size_mb": 0.001}})
    review = request_and_decide(MODEL)
    assert review.decided is not None
    assert review.decided["reviewer"] == "policy manual"
    assert review.decided["comment"].startswith("the size of the model is ")
    assert request_and_decide(MODEL) == review


def _tamper(name: str) -> Callable[[Scene], None]:
    def tamper(_: Scene) -> None:
        newest = max(Path("mlartifacts").rglob(name), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:-1] + b"?")

    return tamper


def _retag(_: Scene) -> None:
    with opened() as client:
        bind(client, MODEL, 2, {"downstream.weights_sha256": "f" * 64})


def _alter_log(_: Scene) -> None:
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        statement = "UPDATE params SET value = value || ' ' WHERE key = '000001'"
        assert connection.execute(statement).rowcount == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scene: scene.write_test_split(without=1), r"the test split is not the one it was "),
        (lambda scene: scene.configure({"floors": {"n_test": 1}}), r"models\.topics\.register in "),
        (_tamper("model.safetensors"), r"^topics version 2: model\.safetensors in MLflow is not "),
        (_tamper("comparison.html"), r"comparison\.html of the report in MLflow \(run .* is not "),
        (_tamper("champion.parquet"), r"champion\.parquet of the report in MLflow"),
        (_retag, r"its tag downstream\.weights_sha256 is not the sha256 of the weights that were "),
        (_alter_log, r"^the audit log does not hold: topics: entry 1 was altered: its sha256 is "),
    ],
    ids=["test split", "settings", "weights", "report", "predictions", "tag", "log"],
)
def test_approval_is_refused_by_name(
    reviewed: Scene, change: Callable[[Scene], None], message: str
) -> None:
    change(reviewed)
    with pytest.raises(BadInput, match=message):
        decide(latest(MODEL), "approve", "Good.")
    with opened() as client:
        assert aliases_of(client, MODEL)["champion"] == 1


def test_approval_is_refused_after_a_change_of_code(
    reviewed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "code_hash", lambda _: "another")
    with pytest.raises(BadInput, match=r"the code of evaluate is not the one it was reviewed with"):
        decide(latest(MODEL), "approve", "Good.")


def test_what_was_altered_can_still_be_rejected(reviewed: Scene) -> None:
    _tamper("model.safetensors")(reviewed)
    assert decide(latest(MODEL), "reject", "It was altered.").decided is not None


def test_a_review_of_versions_that_are_not_those_any_more_is_refused(reviewed: Scene) -> None:
    review = latest(MODEL)
    reviewed.register("other")
    with pytest.raises(BadInput, match=r"the candidate is version 3, the champion 1\. `downstream"):
        decide(review, "reject", "Too slow.")
    decide(request(MODEL), "approve", "Good.")
    with pytest.raises(NothingToReview):
        decide(review, "approve", "Good.")


def test_a_champion_that_has_come_back_is_another_one(reviewed: Scene) -> None:
    review = latest(MODEL)
    with opened() as client:
        for number in (None, 1):
            move(client, MODEL, Change("rollback", "champion", version_to=number))
    with pytest.raises(BadInput, match=r"the champion has been another in between"):
        decide(review, "approve", "Good.")
