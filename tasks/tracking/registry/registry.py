"""The model registry: a version a content, and ``candidate`` on the workspace's model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files, paths
from tasks.errors import Unreachable, in_words
from tasks.progress import say
from tasks.tracking.audit.aliases import CANDIDATE, settle
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.bindings import altered, bindings, gate_of
from tasks.tracking.registry.version import (
    CARD,
    GATE_FILE,
    METRICS,
    MODEL,
    PREDICTIONS,
    UNCOMMITTED,
    VALIDATION,
    versions_of,
)
from tasks.tracking.registry.version_writer import (
    VersionRecord,
    carries,
    find_version,
    set_candidate,
)
from tasks.tracking.runs import outbox
from tasks.tracking.runs.run_writer import has_run, identity_of, metrics_of
from tasks.tracking.runs.runs import (
    RESTORED,
    provenance,
    record_run,
    uncommitted,
)
from tasks.tracking.store import READ_ONLY, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient

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
    evidence_files = _evidence_files(evidence, gate)
    metrics = files.read_json(evidence / METRICS)
    if GATE_FILE not in evidence_files:
        validation = "unknown"
    else:
        verdict = files.read_json(evidence_files[GATE_FILE])
        validation = "passed" if verdict.get("passed") is True else "failed"
    record: VersionRecord = {
        "model": model_name,
        "content_hash": version["content_hash"],
        "passed": version["gates"]["passed"],
        "missed": version["gates"]["missed"],
        "metrics": metrics_of(metrics),
        "tags": {
            **provenance("register", model_name),
            **({RESTORED: "true"} if restored else {}),
        },
        "model_files": {
            path.relative_to(folder).as_posix(): files.sha256(path)
            for path in folder.rglob("*")
            if path.is_file()
        },
        "evidence_files": _sums_of(evidence_files),
        "bindings": {**bindings(model_name), VALIDATION: validation},
        "summary": summary(metrics, version["gates"]["missed"]),
    }
    with tempfile.TemporaryDirectory() as temporary:
        attached = {**evidence_files, MODEL: folder, "plots": evidence / "plots"}
        changes = uncommitted()
        if changes:
            attached[UNCOMMITTED] = Path(temporary) / UNCOMMITTED
            files.write_text(attached[UNCOMMITTED], changes)
        number: int | None = outbox.deliver("version", record, attached)
    return number


def summary(metrics: Mapping[str, Any], missed: Sequence[str]) -> dict[str, str]:
    """Return the tags that a reviewer reads, as far as metrics tell.

    Args:
        metrics: the content of ``metrics.json``.
        missed: the gates that the model misses, a sentence each.
    """
    tags = {"verdict": f"misses: {'; '.join(missed)}" if missed else "passes its gates"}
    if "head" in metrics:
        return {**tags, **_of_head(metrics)}
    accuracy, gain = metrics.get("accuracy"), metrics.get("gain")
    intervals = metrics.get("intervals") or {}
    linear = ((metrics.get("baselines") or {}).get("linear") or {}).get("accuracy")
    if accuracy is not None:
        tags["accuracy"] = f"{100 * accuracy:.2f} %{_between(intervals.get('accuracy'))}"
    if accuracy is not None and linear is not None:
        against = (metrics.get("against") or {}).get("linear") or {}
        told = f", {against['verdict']} (p {_p_value(against['p_value'])})" if against else ""
        tags["lead over linear"] = f"{100 * (accuracy - linear):+.2f} points{told}"
    if gain is not None:
        tags["gain"] = f"{100 * gain:+.2f} points{_between(intervals.get('gain'))}"
    return tags


def _of_head(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a model with another head than classification, in its own metric."""
    decides = metrics["decides"]
    tags = {"head": metrics["head"], decides: f"{metrics[decides]:.4f}"}
    linear = metrics["against"].get("linear")
    if linear is not None:
        told = f"{linear['verdict']} (p {_p_value(linear['p_value'])})"
        tags["lead over linear"] = f"{linear['better_by']:+.4f}, {told}"
    if metrics.get("gain") is not None:
        tags["gain"] = f"{metrics['gain']:+.4f}"
    return tags


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"


def _between(interval: Sequence[float] | None) -> str:
    return f" ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})" if interval else ""


def _evidence_files(evidence: Path, gate: Path | None) -> dict[str, Path]:
    """Return the files, by name, that a version's verdict rests on, as far as there are any."""
    named = {name: evidence / name for name in EVIDENCE_NAMES}
    if gate is not None:
        named[GATE_FILE] = gate
    return {name: path for name, path in named.items() if path.is_file()}


def _sums_of(named: Mapping[str, Path]) -> dict[str, str]:
    return {name: files.sha256(path) for name, path in named.items()}


def reconcile(
    models: Iterable[str],
    evaluations: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = say,
) -> dict[str, int | None]:
    """Bring the registry in step as ``bring_in_step`` does, or warn that it cannot be done.

    The store may be away; or nobody here can write to the workspace, which is no hindrance to
    whoever only wants to read the registry.

    Args:
        models: rows of ``params.yaml``.
        evaluations: see ``bring_in_step``.
        tell: is given a line for each thing that was done.

    Returns:
        The candidate's version by model; empty where they were not compared.
    """
    try:
        return bring_in_step(models, evaluations or {}, tell)
    except (Unreachable, OSError) as error:
        if not isinstance(error, Unreachable) and error.errno not in READ_ONLY:
            raise
        fault = error if isinstance(error, Unreachable) else in_words(error)
        say(f"warning: {fault}. The registry was not compared with the workspace")
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
    models, num_waiting = list(models), outbox.waiting()
    with opened() as client:
        before = {model: _state(client, model) for model in models}
        outbox.send_waiting(client)
        missing = [model for model in models if not _follow(client, model)]
        unknown = [
            model
            for model, stage_hash in evaluations.items()
            if not has_run(client, model, identity_of("evaluate", stage_hash))
        ]
    for model in missing:
        _publish_from_workspace(model)
    for model in unknown:
        record_run(
            stage="evaluate",
            row=model,
            stage_hash=evaluations[model],
            params={},
            metrics=files.read_json(paths.metrics(model)),
            tags={},
            restored=True,
        )
    with opened() as client:
        after = {model: _state(client, model) for model in models}
    for line in [*_sendings(num_waiting, outbox.waiting()), *_changes(before, after, unknown)]:
        tell(line)
    return {model: state.candidate for model, state in after.items()}


def _follow(client: MlflowClient, model: str) -> bool:
    """Put ``candidate`` on the workspace's version; False if the store does not have it."""
    if not paths.version(model).exists():
        return True
    version = files.read_json(paths.version(model))
    evidence_files = _evidence_files(paths.stage_output("evaluate", model), gate_of(model))
    settle(client, model)
    registered = find_version(client, model, version["content_hash"])
    if registered is None or not carries(registered, _sums_of(evidence_files), **version["gates"]):
        return False
    if version["gates"]["passed"]:
        set_candidate(client, registered)
    return True


def _publish_from_workspace(model: str) -> None:
    version = files.read_json(paths.version(model))
    folder, evidence = paths.finetuned(model), paths.stage_output("evaluate", model)
    if not folder.is_dir() or not paths.metrics(model).exists():
        return
    # A model that was finetuned anew, and not yet registered, is not what version.json speaks of.
    if files.sha256_of_folder(folder) != version["content_hash"]:
        return
    for path in altered("evaluate", model, _evidence_files(evidence, None).values()):
        say(
            f"warning: {model}: {path} is not what dvc.lock has recorded, so it is not published: "
            f"`downstream run evaluate@{model}`"
        )
        return
    publish(model, folder, version, evidence, gate_of(model), restored=True)


@dataclass(frozen=True)
class _State:
    """What the registry has of a model: the candidate's version, and the newest (0 without any)."""

    candidate: int | None
    newest: int


def _state(client: MlflowClient, model: str) -> _State:
    newest = max((version.number for version in versions_of(client, model)), default=0)
    return _State(aliases_of(client, model).get(CANDIDATE), newest)


def _sendings(num_before: int, num_after: int) -> Iterator[str]:
    """Say what had waited for MLflow and is sent, and what still waits."""
    if num_before > num_after:
        yield f"{num_before - num_after} record(s) that had waited for MLflow are sent"
    if num_after:
        yield f"{num_after} record(s) still wait for MLflow"


def _changes(
    before: Mapping[str, _State], after: Mapping[str, _State], restored: Collection[str]
) -> Iterator[str]:
    """Say what is new in the registry, a line each."""
    for model, now in after.items():
        then = before[model]
        if now.newest > then.newest:
            yield f"{model}: version {now.newest} is new in the registry"
        if now.candidate != then.candidate:
            yield f"{model}: candidate is version {now.candidate}, was {then.candidate or 'none'}"
    for model in restored:
        yield f"{model}: its evaluation, which MLflow did not know, is recorded as restored"
