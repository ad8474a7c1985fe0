"""A record waits, whole, until MLflow has it."""

from pathlib import Path
from typing import Any

import pytest

from tasks.tracking.runs import outbox
from tasks.tracking.runs.outbox import OUTBOX, deliver, send_waiting, waiting
from tasks.tracking.store import opened

AWAY = "http://127.0.0.1:9"


def _record(stage_hash: str, **changes: Any) -> dict[str, Any]:
    return {
        "experiment": "topics",
        "name": "x",
        "identity": {"downstream.stage_hash": stage_hash},
        "tags": {},
        "params": {},
        "metrics": [],
        **changes,
    }


def test_what_is_attached_is_kept_as_it_was(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    model = workspace / "model"
    model.mkdir()
    (model / "weights").write_text("first")
    deliver("run", _record("abc"), {"model": model, "absent": workspace / "absent"})
    # A stage replaces its results as a whole.
    (model / "weights").unlink()
    (model / "weights").write_text("second")
    (folder,) = OUTBOX.iterdir()
    assert (folder / "files" / "model" / "weights").read_text() == "first"
    assert not (folder / "files" / "absent").exists()


def test_records_are_sent_oldest_first(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    for stage_hash in ("one", "two", "three"):
        deliver("run", _record(stage_hash), {})
    assert "3 record(s) wait" in capsys.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with opened() as client:
        sent = list(send_waiting(client).values())
        hashes = [client.get_run(run).data.tags["downstream.stage_hash"] for run in sent]
    assert hashes == ["one", "two", "three"]
    assert waiting() == 0


def test_a_record_that_mlflow_refuses_is_kept_and_holds_up_no_other(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A name that MLflow does not allow.
    assert deliver("run", _record("bad", metrics=[["a:b?", 1.0, 0]]), {}) is None
    assert "warning: MLflow did not take .downstream/mlflow/outbox/" in capsys.readouterr().err
    assert deliver("run", _record("good"), {}) is not None
    assert waiting() == 1


def test_a_record_that_was_not_finished_is_not_sent(workspace: Path) -> None:
    (OUTBOX / ".00001-1" / "files").mkdir(parents=True)
    with opened() as client:
        assert outbox.send_waiting(client) == {}
