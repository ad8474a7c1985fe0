"""The links between a version's tags, its files in MLflow, and the workspace."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.promotion import accepted
from tasks.promotion.link import Link
from tasks.promotion.versions import download_evidence, download_model, tags_of
from tasks.tracking.registry.bindings import (
    BACKBONE,
    CODE,
    EVALUATED,
    MODEL_MD5,
    SPLIT,
    bindings,
    gate_of,
)
from tasks.tracking.registry.version import (
    CONTENT_HASH,
    EVIDENCE_FILES,
    GATE_FILE,
    MODEL_FILES,
)

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

NAMES = {
    **{f"{SPLIT}{part}": f"{part}.parquet" for part in paths.PARTS},
    BACKBONE: "the backbone",
    MODEL_MD5: "the model, as DVC hashes it",
    **{f"{CODE}{stage}": f"the code of {stage}" for stage in EVALUATED},
}
"""What each tag is called."""


def of_registry(client: MlflowClient, model: str, number: int) -> Iterator[Link]:
    """Yield whether the files in MLflow are those that were registered."""
    tags = tags_of(client, model, number)
    get: dict[str, Callable[..., Path]] = {"model": download_model, "evidence": download_evidence}
    for what, download in get.items():
        recorded = tags.get(CONTENT_HASH if what == "model" else EVIDENCE_FILES, "")
        if what == "evidence":
            recorded = files.sha256_of_text(recorded)
        with tempfile.TemporaryDirectory() as folder:
            try:
                download(client, model, number, Path(folder))
                problem = ""
            except BadInput as error:
                problem = str(error)
        yield Link(f"version {number}", f"its {what} in MLflow", recorded, problem)


def of_workspace(
    model: str, number: int, tags: Mapping[str, str], lock: Mapping[str, Any]
) -> Iterator[Link]:
    """Yield whether the workspace's model, evidence and bindings are those of the version."""
    stage = f"version {number}"
    folder = paths.finetuned(model)
    content_hash = tags.get(CONTENT_HASH, "")
    problem = _other_files(folder, json.loads(tags.get(MODEL_FILES, "{}")))
    if not problem and files.sha256_of_folder(folder) != content_hash:
        problem = f"holds more than the version does: `dvc checkout {folder}`"
    if problem:
        problem += f"; version {number} was registered from another state: check that out"
    yield Link(stage, str(folder), content_hash, problem)
    for name, sha256 in json.loads(tags.get(EVIDENCE_FILES, "{}")).items():
        path = _place(model, name)
        yield Link(stage, str(path), sha256, _other(path, sha256))
    now = bindings(model)
    for tag, name in NAMES.items():
        problem, note = _bound(tag, tags.get(tag), now.get(tag), model, lock)
        yield Link(stage, name, tags.get(tag, ""), problem, note)


def _place(model: str, name: str) -> Path:
    gate = gate_of(model)
    if name == GATE_FILE and gate is not None:
        return gate
    return paths.stage_output("evaluate", model) / name


def _other_files(folder: Path, expected: Mapping[str, str]) -> str:
    if not expected:
        return "the version has no tag with its files: it was registered by older code"
    problems = [(name, _other(folder / name, sha256)) for name, sha256 in expected.items()]
    return "; ".join(f"{name} {problem}" for name, problem in problems if problem)


def _other(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "is missing"
    found = files.sha256(path)
    return "" if found == sha256 else f"has the sha256 {found[:12]}, the version {sha256[:12]}"


def _bound(
    tag: str, recorded: str | None, now: str | None, model: str, lock: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the problem and the note of one tag."""
    if recorded == now:
        return ("", "") if recorded else ("neither the version nor dvc.lock has it", "")
    stage = f"{tag.removeprefix(CODE)}@{model}"
    if tag.startswith(CODE) and recorded and stage in lock:
        entry = lock[stage]
        if accepted.was_accepted_from(stage, entry, recorded):
            return "", accepted.told(accepted.acceptances(stage, entry))
    return f"dvc.lock has {now or 'none'}, the version {recorded or 'none'}", ""
