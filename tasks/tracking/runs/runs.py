"""One MLflow run for each (stage, stage hash) that trained or evaluated something.

With it goes where the result comes from: commit, changes since, code, libraries.
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, TypedDict, Unpack

from tasks.contracts import files, paths
from tasks.machine.git import ask_git
from tasks.machine.libraries import versions_now
from tasks.tracking.runs import outbox
from tasks.tracking.runs.run_writer import (
    Data,
    RunDescription,
    RunRecord,
    identity_of,
    metrics_of,
    texts_of,
)

RESTORED = "downstream.restored"
INPUTS = "downstream.inputs"
RECORDS = ".parquet"
LARGEST_DIFF_CHARACTERS = 1_000_000


class Facts(TypedDict):
    """What is known of a run from its beginning."""

    stage: str
    """For example ``evaluate``."""
    row: str
    """Its row in ``params.yaml``; the experiment has that name."""
    stage_hash: str
    """DVC's run-cache key; two results with the same key are one run."""
    params: Mapping[str, Any]
    """Settings; nested names are joined by dots."""
    tags: Mapping[str, str]
    """What else is known."""
    inputs: NotRequired[Mapping[str, str]]
    """The content hash of each file that the stage reads, by path."""


def record_run(
    *,
    metrics: Mapping[str, Any],
    artifacts: Sequence[Path] = (),
    restored: bool = False,
    **facts: Unpack[Facts],
) -> str | None:
    """Record what a stage has done; recording it twice changes nothing.

    Args:
        metrics: numbers; nested names are joined by dots, and a list is a curve.
        artifacts: files and folders to keep with the run.
        restored: the result was restored from the run cache, and not made here: the run that made
            it is left as it is; where the store has none, one marked ``downstream.restored`` is
            written.
        facts: what was known from the beginning.

    Returns:
        The run's id; None while the store is away and the record waits.
    """
    import psutil  # type: ignore[import-untyped]

    ended = time.time()
    started = ended if restored else min(psutil.Process().create_time(), ended)
    record: RunRecord = {
        **describe_run(restored=restored, **facts),
        "metrics": metrics_of(metrics),
        "started": int(started * 1000),
        "ended": int(ended * 1000),
    }
    attached = {path.name: path for path in artifacts}
    with tempfile.TemporaryDirectory() as temporary:
        changes = "" if restored else uncommitted()
        if changes:
            attached["uncommitted.diff"] = Path(temporary) / "uncommitted.diff"
            files.write_text(attached["uncommitted.diff"], changes)
        run_id: str | None = outbox.deliver("run", record, attached)
    return run_id


def describe_run(*, restored: bool = False, **facts: Unpack[Facts]) -> RunDescription:
    """Return what is known of a run from its beginning, as its writer takes it."""
    stage, row, inputs = facts["stage"], facts["row"], facts.get("inputs", {})
    made = {RESTORED: "true"} if restored else provenance(stage, row)
    read = {INPUTS: files.to_json(dict(sorted(inputs.items())))} if inputs else {}
    return {
        "experiment": row,
        "name": f"{stage}@{row}",
        "identity": identity_of(stage, facts["stage_hash"]),
        "tags": {"downstream.row": row, **made, **read, **facts["tags"]},
        "params": texts_of(facts["params"]),
        "data": [_data(path, md5) for path, md5 in inputs.items() if path.endswith(RECORDS)],
    }


def provenance(stage: str, row: str) -> dict[str, str]:
    """Return the tags that say what made a result, as far as that is known."""
    commit = ask_git("rev-parse", "HEAD")
    tags = {"downstream.libraries": json.dumps(versions_now())}
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["downstream.git_dirty"] = str(bool(ask_git("status", "--porcelain"))).lower()
    code = paths.code(stage, row)
    if code.exists():
        tags["downstream.code"] = files.sha256(code)
    return tags


def uncommitted() -> str:
    """Return what differs from the commit, cut where it is very long."""
    return (ask_git("diff", "HEAD") or "")[:LARGEST_DIFF_CHARACTERS]


def _data(path: str, md5: str) -> Data:
    """Return what MLflow's pages show of a file of records."""
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import read_metadata

    data: Data = {"path": path, "md5": md5, "context": PurePosixPath(path).stem}
    try:
        return {**data, "rows": read_metadata(path).num_rows}
    except (OSError, ArrowInvalid):
        return data  # a restored result: what it was made from need not lie here
