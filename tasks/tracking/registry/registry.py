"""The model registry: a version a content, and ``candidate`` on the workspace's model."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.errors import Unreachable
from tasks.progress import say
from tasks.tracking.audit.aliases import settle
from tasks.tracking.registry.state import changes, sendings, states
from tasks.tracking.registry.version import (
    CARD,
    GATE_FILE,
    METRICS,
    MODEL,
    PREDICTIONS,
    UNCOMMITTED,
    VALIDATION,
)
from tasks.tracking.registry.version_writer import (
    candidate_of,
    carries,
    find_version,
    set_candidate,
)
from tasks.tracking.runs import outbox
from tasks.tracking.runs.bindings import altered, bindings, gate_of
from tasks.tracking.runs.flat import metrics_of
from tasks.tracking.runs.provenance import provenance, uncommitted
from tasks.tracking.runs.run_writer import has_run
from tasks.tracking.runs.runs import RESTORED, identity_of, record_run
from tasks.tracking.store import errors, first_line, opened

EVIDENCE_NAMES = (PREDICTIONS, METRICS, CARD, "README.html")


def publish(
    model_name: str,
    folder: Path,
    version: Mapping[str, Any],
    evidence: Path,
    gate: Path | None,
    *,
    restored: bool = False,
) -> int | None:
    """Register a model as a version bound to its content; an existing one is used again.

    Args:
        model_name: the row of ``params.yaml``, and the registered model's name.
        folder: ``data/finetune/<model>/model``.
        version: the content of ``version.json``.
        evidence: ``data/evaluate/<model>``; its files go with the version.
        gate: ``gate.json``, the verdict of ``validate`` on the model's corpus, where known.
        restored: DVC has restored the model, which is what a new version is then marked as.

    Returns:
        The version's number; None while the store is away and the record waits.
    """
    parts = evidence_parts(evidence, gate)
    record = {
        "model": model_name,
        "content_hash": version["content_hash"],
        "passed": version["gates"]["passed"],
        "missed": version["gates"]["missed"],
        "metrics": metrics_of(files.read_json(evidence / METRICS)),
        "tags": {
            **provenance("register", model_name),
            **({RESTORED: "true"} if restored else {}),
        },
        "model_files": {
            path.relative_to(folder).as_posix(): files.sha256(path)
            for path in folder.rglob("*")
            if path.is_file()
        },
        "evidence_files": sums_of(parts),
        "bindings": {**bindings(model_name), VALIDATION: _verdict(parts.get(GATE_FILE))},
    }
    with tempfile.TemporaryDirectory() as temporary:
        diff = Path(temporary) / UNCOMMITTED
        files.write_text(diff, uncommitted())
        attached = {**parts, MODEL: folder, "plots": evidence / "plots"}
        if diff.stat().st_size:
            attached[UNCOMMITTED] = diff
        number: int | None = outbox.deliver("version", record, attached)
    return number


def _verdict(gate: Path | None) -> str:
    if gate is None:
        return "unknown"
    return "passed" if files.read_json(gate).get("passed") is True else "failed"


def evidence_parts(evidence: Path, gate: Path | None) -> dict[str, Path]:
    """Return the files, by name, that a version's verdict rests on, as far as there are any."""
    found = {name: evidence / name for name in EVIDENCE_NAMES}
    if gate is not None:
        found[GATE_FILE] = gate
    return {name: path for name, path in found.items() if path.is_file()}


def sums_of(parts: Mapping[str, Path]) -> dict[str, str]:
    """Return the sha256 of each of some files, by name."""
    return {name: files.sha256(path) for name, path in parts.items()}


def reconcile(
    models: Iterable[str],
    evaluations: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = say,
) -> dict[str, int | None]:
    """Bring the registry in step as ``bring_in_step`` does, or warn that the store is away.

    Returns:
        The candidate's version by model; empty while the store is away.
    """
    try:
        return bring_in_step(models, evaluations or {}, tell)
    except Unreachable as error:
        say(f"warning: {error}. The registry was not compared with the workspace")
        return {}


def bring_in_step(
    models: Iterable[str], evaluations: Mapping[str, str], tell: Callable[[str], None]
) -> dict[str, int | None]:
    """Make the registry agree with the workspace, whatever was restored or done elsewhere.

    Waiting records are sent, missing versions are created, and ``candidate`` is put on the
    version that ``data/register/<model>/version.json`` names. A model that is not registered in
    the workspace, or missed a gate, is left alone. Aliases that were moved by hand are recorded.

    Args:
        models: rows of ``params.yaml``.
        evaluations: the stage hash of the ``evaluate`` whose metrics lie in the workspace, by
            model. Where the store has no run of it, one marked ``restored`` is written.
        tell: is given a line for each thing that was done.

    Returns:
        The candidate's version by model.

    Raises:
        Unreachable: the store is away.
    """
    models, waiting = list(models), outbox.waiting()
    with opened() as client:
        before = states(client, models)
        outbox.send_waiting(client)
        missing = [model for model in models if not _follow(client, model)]
        unknown = [model for model in evaluations if not _is_known(client, model, evaluations)]
    for model in missing:
        _publish_from_workspace(model)
    for model in unknown:
        _record_restored(model, evaluations[model])
    with opened() as client:
        after = states(client, models)
    for line in [*sendings(waiting, outbox.waiting()), *changes(before, after, unknown)]:
        tell(line)
    return {model: state.candidate for model, state in after.items()}


def _is_known(client: Any, model: str, evaluations: Mapping[str, str]) -> bool:
    return has_run(client, model, identity_of("evaluate", evaluations[model]))


def _record_restored(model: str, stage_hash: str) -> None:
    record_run(
        stage="evaluate",
        row=model,
        stage_hash=stage_hash,
        params={},
        metrics=files.read_json(paths.metrics(model)),
        tags={},
        restored=True,
    )


def candidate_versions(models: Iterable[str]) -> dict[str, int | None]:
    """Return the version that has the alias ``candidate``, by model.

    Raises:
        Unreachable: the store is away.
    """
    with opened() as client:
        return {model: candidate_of(client, model) for model in models}


def candidate_version(model: str) -> int | None:
    """Return the version of a model that has the alias ``candidate``.

    Raises:
        Unreachable: the store is away.
    """
    return candidate_versions([model])[model]


def _follow(client: Any, model: str) -> bool:
    """Put ``candidate`` on the workspace's version; False if the store does not have it."""
    if not paths.version(model).exists():
        return True
    version = files.read_json(paths.version(model))
    try:
        settle(client, model)
        number = find_version(client, model, version["content_hash"])
        if number is None or not _is_up_to_date(client, model, number, version["gates"]):
            return False
        if version["gates"]["passed"]:
            set_candidate(client, model, number)
    except errors() as error:
        raise Unreachable(f"MLflow: {model}: {first_line(error)}") from error
    return True


def _is_up_to_date(client: Any, model: str, number: int, gates: Mapping[str, Any]) -> bool:
    """Tell whether a version carries the evidence that lies in the workspace now."""
    parts = evidence_parts(paths.stage_output("evaluate", model), gate_of(model))
    return carries(client, model, number, sums_of(parts), gates)


def _publish_from_workspace(model: str) -> None:
    version = files.read_json(paths.version(model))
    folder, metrics = paths.finetuned(model), paths.metrics(model)
    evidence = paths.stage_output("evaluate", model)
    if not folder.is_dir() or not metrics.exists():
        return
    # A model that was finetuned anew, and not yet registered, is not what version.json speaks of.
    if files.sha256_of_folder(folder) != version["content_hash"]:
        return
    parts = evidence_parts(evidence, None).values()
    for path in altered("evaluate", model, parts):
        say(
            f"warning: {model}: {path} is not what dvc.lock has recorded, so it is not published: "
            f"`downstream run evaluate@{model}`"
        )
        return
    publish(model, folder, version, evidence, gate_of(model), restored=True)
