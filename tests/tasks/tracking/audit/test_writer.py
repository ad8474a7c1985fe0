"""An entry is written once and names the one before; a subject is claimed once."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.contracts import files
from tasks.errors import DownstreamError
from tasks.tracking.audit.log import canonical, read_log
from tasks.tracking.audit.writer import Change, append, append_next, claim
from tasks.tracking.store import opened


def test_the_first_claim_holds(workspace: Path) -> None:
    ann, bob = {"decision": "approve", "by": "ann"}, {"decision": "reject", "by": "bob"}
    with opened() as client:
        assert read_log(client, "m").claims == {}
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-1", bob) == ann
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-2", bob) == bob
        assert read_log(client, "m").claims == {"review-1": ann, "review-2": bob}


def test_an_entry_says_who_did_what_and_names_the_one_before(client: MlflowClient) -> None:
    about = {"weights_sha256": "ab"}
    change = Change(
        "approve",
        alias="champion",
        version_from=1,
        version_to=2,
        reason="better — by far",
        evidence=about,
        actor="Ann <ann@example.org>",
    )
    first = append(client, "m", change)
    second = append(client, "m", Change("reject", version_to=3))
    assert read_log(client, "m").entries == [first, second]
    assert first == {
        "number": 1,
        "time": first["time"],
        "actor": "Ann <ann@example.org>",
        "action": "approve",
        "model": "m",
        "alias": "champion",
        "version_from": 1,
        "version_to": 2,
        "reason": "better — by far",
        "evidence": about,
        "previous": "0" * 64,
    }
    assert second["number"] == 2
    assert second["previous"] == files.sha256_of_text(canonical(first))
    head = client.get_registered_model("m").tags["downstream.audit_head"]
    assert head == f"2 {files.sha256_of_text(canonical(second))}"


def test_the_reviewer_of_the_environment_is_the_actor(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "Bob")
    assert append(client, "m", Change("reject"))["actor"] == "Bob"


def test_who_has_read_an_old_log_cannot_append_to_it(logged: MlflowClient) -> None:
    old = read_log(logged, "m")
    append(logged, "m", Change("approve", version_to=4))
    assert append_next(logged, old, Change("reject")) is None
    assert [entry["action"] for entry in read_log(logged, "m").entries] == ["reject"] * 3 + [
        "approve"
    ]


def test_a_long_reason_is_cut_and_evidence_that_does_not_fit_is_refused(
    client: MlflowClient,
) -> None:
    assert len(append(client, "m", Change("reject", reason="字" * 9000))["reason"]) == 2000
    with pytest.raises(DownstreamError, match=r"000002: 7\d{3} characters .* the 6000 that MLflow"):
        append(client, "m", Change("reject", evidence={"all": "x" * 7000}))
    assert read_log(client, "m").problems() == []
