"""What is promoted is what was reviewed; what differs is named."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.promotion.review import subject
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.requests import request
from tasks.promotion.review.store import latest
from tasks.promotion.review.subject import NothingToReview
from tasks.tracking.audit.aliases import move
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.audit.writer import Change
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene


def _tamper(name: str) -> Callable[[Scene], None]:
    def tamper(_: Scene) -> None:
        newest = max(Path("mlartifacts").rglob(name), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:-1] + b"?")

    return tamper


def _retag(_: Scene) -> None:
    with opened() as client:
        client.set_model_version_tag(MODEL, "2", "downstream.weights_sha256", "f" * 64)


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
    with pytest.raises(BadInput, match=r"^topics version 3 was not compared with the champion yet"):
        latest(MODEL)
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
