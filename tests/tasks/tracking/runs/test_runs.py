"""One run for each stage hash, whether the store is there or comes back later; and its origin."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.contracts import files, paths
from tasks.tracking.runs.runs import outbox, provenance, record_run, uncommitted
from tasks.tracking.store import opened


def _record(**changes: Any) -> str | None:
    given: dict[str, Any] = {
        "stage": "evaluate",
        "row": "topics",
        "stage_hash": "abc",
        "params": {"bootstrap_samples": 1000, "nested": {"key": [1, 2]}},
        "metrics": {"accuracy": 0.9, "roc_auc": None, "baselines": {"linear": {"accuracy": 0.8}}},
        "tags": {"downstream.data.test": "md5"},
        "artifacts": [],
        **changes,
    }
    return record_run(**given)


def test_a_run_holds_what_the_stage_did(workspace: Path) -> None:
    (workspace / "card.md").write_text("# card")
    (workspace / "plots").mkdir()
    (workspace / "plots" / "a.png").write_text("png")
    run_id = _record(artifacts=[Path("card.md"), Path("plots")])
    assert run_id is not None
    with opened() as client:
        run = client.get_run(run_id)
        artifacts = {file.path for file in client.list_artifacts(run_id)}
        assert client.get_experiment(run.info.experiment_id).name == "topics"
    assert run.info.run_name == "evaluate@topics"
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"accuracy": 0.9, "baselines.linear.accuracy": 0.8}
    assert run.data.params == {"bootstrap_samples": "1000", "nested.key": "[1, 2]"}
    assert artifacts == {"card.md", "plots"}
    assert {key: run.data.tags[f"downstream.{key}"] for key in ("stage", "row", "stage_hash")} == {
        "stage": "evaluate",
        "row": "topics",
        "stage_hash": "abc",
    }
    assert run.data.tags["downstream.data.test"] == "md5"
    assert "torch" in run.data.tags["downstream.libraries"]
    assert outbox.waiting() == 0


def test_a_run_that_is_written_when_all_is_over_began_before_it_ended(workspace: Path) -> None:
    ran, restored = _record(), _record(stage_hash="def", restored=True)
    with opened() as client:
        run = client.get_run(str(ran)).info
        assert run.start_time < run.end_time
        run = client.get_run(str(restored)).info
        assert run.start_time == run.end_time


def test_the_same_stage_hash_is_the_same_run(workspace: Path) -> None:
    first = _record()
    assert _record(metrics={"accuracy": 0.1}) == first
    assert _record(restored=True) == first
    assert _record(stage_hash="def") != first
    assert _record(stage="finetune") != first
    with opened() as client:
        assert client.get_run(str(first)).data.metrics["accuracy"] == 0.9


def test_a_curve_is_logged_step_by_step(workspace: Path) -> None:
    run_id = _record(metrics={"training_loss": [3.0, 2.0, 1.5]})
    with opened() as client:
        history = client.get_metric_history(str(run_id), "training_loss")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0), (2, 1.5)]


def test_a_restored_result_that_the_store_has_never_seen_is_marked(workspace: Path) -> None:
    run_id = _record(restored=True)
    with opened() as client:
        run = client.get_run(str(run_id))
    assert run.data.tags["downstream.restored"] == "true"
    assert "downstream.libraries" not in run.data.tags
    assert run.data.metrics["accuracy"] == 0.9


def test_a_run_that_was_killed_half_way_is_finished(workspace: Path) -> None:
    with opened() as client:
        number = client.create_experiment("topics")
        tags = {"downstream.stage": "evaluate", "downstream.stage_hash": "abc"}
        begun = client.create_run(number, tags=tags).info.run_id
    assert _record() == begun
    with opened() as client:
        assert client.get_run(begun).info.status == "FINISHED"
        assert client.get_run(begun).data.metrics["accuracy"] == 0.9


def test_while_the_server_is_away_the_record_waits_and_the_next_run_sends_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "card.md").write_text("# card")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert _record(artifacts=[Path("card.md")]) is None
    warning = capsys.readouterr().err
    assert warning == (
        "warning: no MLflow server answers at http://127.0.0.1:9: start it, or check "
        "MLFLOW_TRACKING_URI. 1 record(s) wait in .downstream/mlflow/outbox; the next run sends "
        "them\n"
    )
    (workspace / "card.md").unlink()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    _record(stage_hash="next")
    assert outbox.waiting() == 0
    with opened() as client:
        number = client.get_experiment_by_name("topics").experiment_id
        runs = {run.data.tags["downstream.stage_hash"]: run for run in client.search_runs([number])}
        assert set(runs) == {"abc", "next"}
        kept = client.list_artifacts(runs["abc"].info.run_id)
    assert [file.path for file in kept] == ["card.md"]


def _git(*arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_a_repository_only_the_libraries_are_known(empty_workspace: Path) -> None:
    tags = provenance("evaluate", "topics")
    assert list(tags) == ["downstream.libraries"]
    known = json.loads(tags["downstream.libraries"])["torch"]
    assert torch.__version__.startswith(known)  # PyPI's wheel calls itself 2.13.0+cu130


def test_the_commit_and_what_was_changed_since_are_told(empty_workspace: Path) -> None:
    _git("init", "-q")
    Path("a.txt").write_text("one\n")
    _git("add", "a.txt")
    _git("commit", "-q", "-m", "first")
    tags = provenance("evaluate", "topics")
    assert tags["mlflow.source.git.commit"] == _git("rev-parse", "HEAD")
    assert tags["downstream.git_dirty"] == "false"
    assert uncommitted() == ""
    Path("a.txt").write_text("two\n")
    assert provenance("evaluate", "topics")["downstream.git_dirty"] == "true"
    assert "-one\n+two" in uncommitted()


def test_a_repository_without_a_commit_has_none_to_tell(empty_workspace: Path) -> None:
    _git("init", "-q")
    assert list(provenance("evaluate", "topics")) == ["downstream.libraries"]
    assert uncommitted() == ""


def test_the_fingerprint_of_the_code_is_told(empty_workspace: Path) -> None:
    files.write_text(paths.code("evaluate", "topics"), "tasks.evaluate 1234\n")
    found = provenance("evaluate", "topics")["downstream.code"]
    assert found == files.sha256(paths.code("evaluate", "topics"))
