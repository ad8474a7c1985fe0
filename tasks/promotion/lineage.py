"""From a version in the registry back to the sources, each link checked.

Three records must agree: the version's tags, ``dvc.lock``, and the files as they lie in the
workspace and in MLflow. Where two of them differ, the link is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import paths
from tasks.contracts.lock import hashes, md5_of, read_lock
from tasks.contracts.params import STAGES
from tasks.errors import BadInput
from tasks.promotion import accepted, version_links
from tasks.promotion.connection import connected
from tasks.promotion.link import Link
from tasks.promotion.versions import tags_of
from tasks.remote.pins import read_pins
from tasks.tracking.audit.aliases import CANDIDATE
from tasks.tracking.audit.log import aliases_of

Lock = dict[str, Any]
COMMIT = "mlflow.source.git.commit"
DIRTY = "downstream.git_dirty"


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
    with connected() as client:
        where = aliases_of(client, model)
        number = version if version is not None else where.get(CANDIDATE)
        if number is None:
            raise BadInput(
                f"{model} has no candidate in the registry: name a version, as in "
                f"`downstream lineage {model} 1`, or `downstream run register@{model}`"
            )
        tags = tags_of(client, model, number)
        links = list(version_links.of_registry(client, model, number))
    lock = read_lock()
    links += version_links.of_workspace(model, number, tags, lock)
    chain = upstream_of(lock, f"register@{model}")
    links += [link for stage in chain for link in _of_stage(lock, stage, chain)]
    dirty = " and changes that were not committed" if tags.get(DIRTY) == "true" else ""
    return Lineage(
        model=model,
        version=number,
        aliases=[alias for alias, version in where.items() if version == number],
        commit=f"{tags.get(COMMIT, 'unknown')}{dirty}",
        links=links,
        pins=_pins(chain),
    )


def upstream_of(lock: Lock, stage: str) -> list[str]:
    """Return a stage of ``dvc.lock`` and all that it was made from, the stage itself first."""
    makers = _makers(lock)
    found, waiting = set(), [stage]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            deps = hashes(lock.get(name, {}), "deps")
            waiting += [makers[path] for path in deps if path in makers]
    return sorted(found, key=lambda name: (-STAGES.index(name.partition("@")[0]), name))


def _makers(lock: Lock) -> dict[str, str]:
    return {path: name for name, entry in lock.items() for path in hashes(entry, "outs")}


def _of_stage(lock: Lock, stage: str, chain: list[str]) -> Iterator[Link]:
    """Yield what a stage has read and written, where another of the chain has to do with it."""
    if stage not in lock:
        yield Link(stage, "dvc.lock", "", f"has no such stage: `downstream run {stage}`")
        return
    entry, makers = lock[stage], _makers(lock)
    read = {path for name in chain for path in hashes(lock.get(name, {}), "deps")}
    for path, md5 in hashes(entry, "outs").items():
        if path in read or Path(path).name == "version.json":
            yield Link(stage, path, md5, _on_disk(path, md5))
    for path, md5 in hashes(entry, "deps").items():
        if path in makers:
            made = hashes(lock[makers[path]], "outs")[path]
            if made != md5:
                yield Link(stage, path, md5, _made_anew(stage, makers[path], made))
        else:
            is_code = path == paths.code(*stage.split("@", 1)).as_posix()
            note = accepted.told(accepted.acceptances(stage, entry)) if is_code else ""
            yield Link(stage, path, md5, _on_disk(path, md5), note)


def _on_disk(path: str, md5: str) -> str:
    found = md5_of(Path(path))
    if found is None:
        return f"is missing: `dvc checkout {path}`, or `dvc pull {path}`"
    return "" if found == md5 else f"holds {found}, dvc.lock has {md5}"


def _made_anew(stage: str, maker: str, made: str) -> str:
    return f"was made anew by {maker} ({made}): `downstream run {stage}`"


def _pins(chain: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    rows = [name.partition("@")[2] for name in chain if name.startswith(("collect@", "pretrain@"))]
    found = {row: read_pins(paths.pin(row)) for row in sorted(rows)}
    return {row: pins for row, pins in found.items() if pins}
