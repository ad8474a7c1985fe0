"""From a version in the registry back to the sources, each link checked.

Three records must agree: the version's tags, ``dvc.lock``, and the files as they lie in the
workspace and in MLflow. Where two of them differ, the link is named; a result that was accepted
under new code holds, and says who has said so.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files, paths
from tasks.contracts.acceptances import Acceptance, read_acceptances
from tasks.contracts.lock import hashes, makers_of, md5_of, read_lock, upstream_of
from tasks.errors import BadInput
from tasks.promotion.versions import download_evidence, download_model
from tasks.remote.downloads import read_pins
from tasks.stage_process.stage_hash import entry_hash
from tasks.tracking.audit.aliases import CANDIDATE
from tasks.tracking.audit.log import aliases_of
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
    EVIDENCE_FILES,
    GATE_FILE,
    MODEL_FILES,
    RegisteredVersion,
    read_version,
)
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

Lock = Mapping[str, dict[str, Any]]
COMMIT = "mlflow.source.git.commit"
DIRTY = "downstream.git_dirty"
BINDINGS = {
    **{f"{SPLIT}{part}": f"{part}.parquet" for part in paths.PARTS},
    BACKBONE: "the backbone",
    MODEL_MD5: "the model, as DVC hashes it",
    **{f"{CODE}{stage}": f"the code of {stage}" for stage in EVALUATED},
}
"""What each tag is called."""


@dataclass(frozen=True)
class Link:
    """What a stage, or the version itself, rests on, and whether it is what was recorded."""

    stage: str
    what: str
    """A file or folder, or what a tag speaks of."""
    recorded: str
    """Its hash as it was recorded."""
    problem: str = ""
    """Why it does not hold; empty where it does."""
    note: str = ""


@dataclass(frozen=True)
class Lineage:
    """A version, and all that it was made from."""

    model: str
    version: int
    aliases: list[str]
    commit: str
    """The commit that it was registered from."""
    links: list[Link]
    """From the version to the sources."""
    pins: dict[str, dict[str, dict[str, Any]]]
    """The exact revision of each remote source, by corpus or backbone."""

    @property
    def broken(self) -> list[Link]:
        """Return the links that do not hold."""
        return [link for link in self.links if link.problem]


def lineage(model: str, version: int | None = None) -> Lineage:
    """Follow a version back to its sources.

    Args:
        model: a row of models: the registered model's name.
        version: its number; by default that of the candidate.

    Raises:
        BadInput: there is no such version.
        Unreachable: MLflow is away.
    """
    with opened() as client:
        where = aliases_of(client, model)
        number = version if version is not None else where.get(CANDIDATE)
        if number is None:
            raise BadInput(
                f"{model} has no candidate in the registry: name a version, as in "
                f"`downstream lineage {model} 1`, or `downstream run register@{model}`"
            )
        registered = read_version(client, model, number)
        links = list(of_registry(client, registered))
    lock = read_lock()
    links += of_workspace(registered, lock)
    chain = upstream_of(lock, f"register@{model}")
    links += [link for stage in chain for link in _of_stage(lock, stage, chain)]
    rows = [name.partition("@")[2] for name in chain if name.startswith(("collect@", "pretrain@"))]
    pins = {row: read_pins(paths.pin(row)) for row in sorted(rows)}
    dirty = " and changes that were not committed" if registered.tags.get(DIRTY) == "true" else ""
    return Lineage(
        model=model,
        version=number,
        aliases=[alias for alias, version in where.items() if version == number],
        commit=f"{registered.tags.get(COMMIT, 'unknown')}{dirty}",
        links=links,
        pins={row: found for row, found in pins.items() if found},
    )


def of_registry(client: MlflowClient, version: RegisteredVersion) -> Iterator[Link]:
    """Yield whether the files in MLflow are those that were registered."""
    evidence_hash = files.sha256_of_text(version.tags.get(EVIDENCE_FILES, ""))
    copies: list[tuple[str, str, Callable[..., Path]]] = [
        ("model", version.content_hash, download_model),
        ("evidence", evidence_hash, download_evidence),
    ]
    for what, recorded, download in copies:
        problem = ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                download(client, version, Path(folder))
            except BadInput as error:
                problem = str(error)
        unbound = what == "model" and version.served_files is None
        note = "registered before its code was bound: the code is not checked" if unbound else ""
        yield Link(f"version {version.number}", f"its {what} in MLflow", recorded, problem, note)


def of_workspace(version: RegisteredVersion, lock: Lock) -> Iterator[Link]:
    """Yield whether the workspace's model, evidence and bindings are those of the version."""
    model, tags, stage = version.model, version.tags, f"version {version.number}"
    folder = paths.finetuned(model)
    problem = _other_files(folder, json.loads(tags.get(MODEL_FILES, "{}")))
    if not problem and files.sha256_of_folder(folder) != version.content_hash:
        problem = f"holds more than the version does: `dvc checkout {folder}`"
    if problem:
        problem += f"; {stage} was registered from another state: check that out"
    yield Link(stage, str(folder), version.content_hash, problem)
    for name, sha256 in json.loads(tags.get(EVIDENCE_FILES, "{}")).items():
        gate = gate_of(model) if name == GATE_FILE else None
        path = gate or paths.stage_output("evaluate", model) / name
        yield Link(stage, str(path), sha256, _other(path, sha256))
    now = bindings(model)
    for tag, name in BINDINGS.items():
        problem, note = _bound(tag, tags.get(tag), now.get(tag), model, lock)
        yield Link(stage, name, tags.get(tag, ""), problem, note)


def _other_files(folder: Path, expected: Mapping[str, str]) -> str:
    if not expected:
        return "the version has no tag with its files: it was registered by older code"
    problems = [(name, _other(folder / name, sha256)) for name, sha256 in expected.items()]
    return "; ".join(f"{name} {problem}" for name, problem in problems if problem)


def _other(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "is missing"
    actual = files.sha256(path)
    return "" if actual == sha256 else f"has the sha256 {actual[:12]}, the version {sha256[:12]}"


def _bound(
    tag: str, recorded: str | None, now: str | None, model: str, lock: Lock
) -> tuple[str, str]:
    """Return the problem and the note of one tag."""
    if recorded == now:
        return ("", "") if recorded else ("neither the version nor dvc.lock has it", "")
    stage = f"{tag.removeprefix(CODE)}@{model}"
    if tag.startswith(CODE) and recorded and stage in lock:
        entry = lock[stage]
        if was_accepted_from(stage, entry, recorded):
            return "", _accepted_by(acceptances(stage, entry))
    return f"dvc.lock has {now or 'none'}, the version {recorded or 'none'}", ""


def _of_stage(lock: Lock, stage: str, chain: list[str]) -> Iterator[Link]:
    """Yield what a stage has read and written, where another of the chain has to do with it."""
    if stage not in lock:
        yield Link(stage, "dvc.lock", "", f"has no such stage: `downstream run {stage}`")
        return
    entry, makers = lock[stage], makers_of(lock)
    read = {path for name in chain for path in hashes(lock.get(name, {}), "deps")}
    for path, md5 in hashes(entry, "outs").items():
        if path in read or Path(path).name == "version.json":
            yield Link(stage, path, md5, _on_disk(path, md5))
    for path, md5 in hashes(entry, "deps").items():
        if path in makers:
            made = hashes(lock[makers[path]], "outs")[path]
            if made != md5:
                problem = f"was made anew by {makers[path]} ({made}): `downstream run {stage}`"
                yield Link(stage, path, md5, problem)
        else:
            is_code = path == paths.code(*stage.split("@", 1)).as_posix()
            note = _accepted_by(acceptances(stage, entry)) if is_code else ""
            yield Link(stage, path, md5, _on_disk(path, md5), note)


def _on_disk(path: str, md5: str) -> str:
    actual = md5_of(Path(path))
    if actual is None:
        return f"is missing: `dvc checkout {path}`, or `dvc pull {path}`"
    return "" if actual == md5 else f"holds {actual}, dvc.lock has {md5}"


def acceptances(stage: str, entry: dict[str, Any]) -> list[Acceptance]:
    """Return the acceptances that led to an entry of ``dvc.lock``, the newest first."""
    by_result = {(line["stage"], line["new_hash"]): line for line in read_acceptances()}
    chain: list[Acceptance] = []
    result = entry_hash(entry)
    while (stage, result) in by_result and len(chain) < len(by_result):
        chain.append(by_result[stage, result])
        if chain[-1]["old_hash"] == result:
            break  # it was kept aside, for what it had read
        result = chain[-1]["old_hash"]
    return chain


def accepted_upstream(model: str) -> list[str]:
    """Say which results that the workspace's model was made from were accepted under changed code.

    Args:
        model: a row of ``params.yaml``.

    Returns:
        A line a stage, upstream first: who accepted it, or which short run has cleared it.
    """
    lock = read_lock()
    stages = reversed(upstream_of(lock, f"evaluate@{model}"))
    chains = ((stage, acceptances(stage, lock[stage])) for stage in stages if stage in lock)
    return [f"{stage}: {_accepted_by(chain)}" for stage, chain in chains if chain]


def was_accepted_from(stage: str, entry: dict[str, Any], code_md5: str) -> bool:
    """Tell whether an entry is the accepted result of the same inputs under other code.

    Args:
        stage: ``<stage>@<row>``.
        entry: what ``dvc.lock`` holds of it.
        code_md5: the code fingerprint's hash before.
    """
    before = copy.deepcopy(entry)
    code = paths.code(*stage.split("@", 1)).as_posix()
    for dep in before["deps"]:
        if dep["path"] == code:
            dep["md5"] = code_md5
    return entry_hash(before) in {line["old_hash"] for line in acceptances(stage, entry)}


def _accepted_by(chain: Iterable[Acceptance]) -> str:
    """Say who accepted a result, when and why."""
    return "; ".join(
        f"accepted under new code on {line['time'][:10]} by {line['who']}: {line['reason']}"
        + (f" ({line['probe']['device']})" if "probe" in line else "")
        for line in chain
    )
