"""A version is read, its files are copied as a whole, and what is missing is named."""

from pathlib import Path

import pytest

from tasks.errors import BadInput, Unreachable
from tasks.tracking.registry.version import (
    RegisteredVersion,
    download_evidence_files,
    read_version,
)
from tasks.tracking.runs.run_writer import ensure_experiment
from tasks.tracking.store import opened


def test_a_version_that_does_not_exist_is_named(workspace: Path) -> None:
    with opened() as client:
        client.create_registered_model("topics")
        client.create_model_version("topics", source="s3://bucket/1", tags={"note": "kept"})
        assert read_version(client, "topics", 1).tags["note"] == "kept"
        with pytest.raises(BadInput, match=r"topics has no version 2 in the registry: `downstrea"):
            read_version(client, "topics", 2)


def test_evidence_replaces_what_was_there_and_leaves_nothing_else(
    workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "old.json").write_text("{}")
    with opened() as client:
        run = client.create_run(ensure_experiment(client, "topics")).info.run_id
        client.log_text(run, "new", "evaluation/new.json")
        version = RegisteredVersion("topics", 1, {}, run)
        found = download_evidence_files(client, version, tmp_path)
        gone = RegisteredVersion("topics", 1, {}, "f" * 32)
        with pytest.raises(Unreachable, match=r"topics version 1: MLflow does not give its files"):
            download_evidence_files(client, gone, tmp_path)
    assert [path.name for path in found.iterdir()] == ["new.json"]
    assert not list(tmp_path.glob(".download-*"))
