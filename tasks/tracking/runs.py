"""One MLflow run for each (stage, stage hash) that trained or evaluated something."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.contracts import files
from tasks.tracking import outbox, provenance
from tasks.tracking.figures import metrics_of, texts_of


def record_run(
    *,
    stage: str,
    row: str,
    stage_hash: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, Any],
    tags: Mapping[str, str],
    artifacts: Sequence[Path],
    restored: bool = False,
) -> str | None:
    """Record what a stage has done; recording it twice changes nothing.

    Args:
        stage: the stage, for example ``evaluate``.
        row: its row in ``params.yaml``; the experiment has that name.
        stage_hash: DVC's run-cache key; two results with the same key are one run.
        params: settings; nested names are joined by dots.
        metrics: numbers; nested names are joined by dots, and a list is a curve.
        tags: what else is known, for example the hashes of the data.
        artifacts: files and folders to keep with the run.
        restored: the result was restored from the run cache, and not made here: the run that made
            it is left as it is; where the store has none, one marked ``downstream.restored`` is
            written.

    Returns:
        The run's id; None while the store is away and the record waits.
    """
    record = {
        "experiment": row,
        "name": f"{stage}@{row}",
        "identity": {"downstream.stage": stage, "downstream.stage_hash": stage_hash},
        "tags": {
            "downstream.row": row,
            **({"downstream.restored": "true"} if restored else provenance.provenance(stage, row)),
            **tags,
        },
        "params": texts_of(params),
        "metrics": metrics_of(metrics),
    }
    attached = {path.name: path for path in artifacts}
    with tempfile.TemporaryDirectory() as temporary:
        changes = "" if restored else provenance.uncommitted()
        if changes:
            attached["uncommitted.diff"] = Path(temporary) / "uncommitted.diff"
            files.write_text(attached["uncommitted.diff"], changes)
        run_id: str | None = outbox.deliver("run", record, attached)
    return run_id
