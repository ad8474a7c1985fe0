"""The files of a registered version, on any machine, checked against what the version is bound to.

Whoever can write to the artifact store can replace a file there; the registry's tags say what it
must hold. A file that differs is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.tracking.registry.version import (
    MODEL_FILES,
    download_evidence_files,
    download_model_files,
    read_version,
)

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient


def tags_of(client: MlflowClient, model: str, version: int) -> dict[str, str]:
    """Return a version's tags.

    Raises:
        BadInput: there is no such version.
    """
    return dict(read_version(client, model, version).tags)


def download_model(client: MlflowClient, model: str, version: int, folder: Path) -> Path:
    """Copy a version's model to ``folder/model``, as ``data/finetune/<model>/model`` has it.

    Returns:
        That folder; what was there before is replaced.

    Raises:
        BadInput: there is no such version, or a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    registered = read_version(client, model, version)
    found = download_model_files(client, registered, folder)
    who, expected = registered.title, registered.model_files
    _require_same(who, found, expected)
    for path in sorted(path for path in found.rglob("*") if path.is_file()):
        name = path.relative_to(found).as_posix()
        if MODEL_FILES in registered.tags and name not in expected:
            raise BadInput(
                f"{who}: {name} in MLflow was not registered: somebody has added it, do not use "
                "this version"
            )
    if files.sha256_of_folder(found) != registered.content_hash:
        raise BadInput(
            f"{who}: the model's folder in MLflow is not the one that was registered (its content "
            f"hash is not {registered.content_hash[:12]!r}): somebody has altered it, do not use it"
        )
    return found


def download_evidence(client: MlflowClient, model: str, version: int, folder: Path) -> Path:
    """Copy a version's evidence to ``folder/evaluation``.

    That is ``predictions.parquet``, ``metrics.json``, the model card (``README.md`` and ``.html``),
    ``plots/`` and ``gate.json``, the verdict of ``validate``.

    Returns:
        That folder; what was there before is replaced.

    Raises:
        BadInput: there is no such version, or a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    registered = read_version(client, model, version)
    target = download_evidence_files(client, registered, folder)
    _require_same(registered.title, target, registered.evidence_files)
    return target


def _require_same(who: str, folder: Path, expected: Mapping[str, str]) -> None:
    for name, sha256 in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            raise BadInput(
                f"{who}: {name} is missing from what MLflow keeps of it: somebody has removed it, "
                "do not use this version"
            )
        found = files.sha256(path)
        if found != sha256:
            raise BadInput(
                f"{who}: {name} in MLflow is not the one that was registered (sha256 "
                f"{found[:12]}, expected {sha256[:12]}): somebody has altered it, do not use this "
                "version"
            )
