"""The files of a registered version, each checked against what the version is bound to.

Whoever can write to the artifact store can replace a file there; the registry's tags say what it
must hold. A file that differs is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.progress import say
from tasks.tracking.registry.version import (
    MODEL_FILES,
    SERVED,
    RegisteredVersion,
    download_evidence_files,
    download_model_files,
    served_sums,
)

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient


@dataclass(frozen=True)
class FetchedVersion:
    """A registered version with its files at hand, each checked against its hash."""

    version: RegisteredVersion
    model: Path
    """The model's folder."""
    evidence: Path
    """What ``evaluate`` has written of it, and the verdict of ``validate``."""

    @property
    def name(self) -> str:
        """How a reviewer knows it."""
        return f"version {self.version.number}"


def fetch(client: MlflowClient, version: RegisteredVersion, folder: Path) -> FetchedVersion:
    """Copy a version's model and evidence from MLflow.

    Args:
        client: the open store.
        version: which one.
        folder: where the copies go, below the version's number.

    Raises:
        BadInput: a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    say(f"{version.model}: fetching version {version.number} from MLflow")
    target = folder / str(version.number)
    return FetchedVersion(
        version,
        download_model(client, version, target),
        download_evidence(client, version, target),
    )


def download_model(client: MlflowClient, version: RegisteredVersion, folder: Path) -> Path:
    """Copy a version's model to ``folder/model``, as ``data/finetune/<model>/model`` has it.

    The code that it is served with is checked too.

    Args:
        client: the open store.
        version: which one.
        folder: the parent of the copy.

    Returns:
        That folder; what was there before is replaced.

    Raises:
        BadInput: a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    copy = download_model_files(client, version, folder)
    title, expected = version.title, version.model_files
    _require_same(title, copy, expected)
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        name = path.relative_to(copy).as_posix()
        if MODEL_FILES in version.tags and name not in expected:
            raise BadInput(
                f"{title}: {name} in MLflow was not registered: somebody has added it, do not use "
                "this version"
            )
    if files.sha256_of_folder(copy) != version.content_hash:
        raise BadInput(
            f"{title}: the model's folder in MLflow is not the one that was registered (its "
            f"content hash is not {version.content_hash[:12]!r}): somebody has altered it, do not "
            "use it"
        )
    _require_same_served(version, folder / SERVED)
    return copy


def _require_same_served(version: RegisteredVersion, served: Path) -> None:
    """Check the code that the version is served with, and what says how it is loaded."""
    expected = version.served_files
    if expected is None:
        return  # it was registered before they were bound; ``lineage`` says so
    _require_same(version.title, served, expected)
    added = sorted(served_sums(served).keys() - expected.keys())
    if added:
        raise BadInput(
            f"{version.title}: {added[0]} in MLflow was not registered: somebody has added it, do "
            "not use this version"
        )


def download_evidence(client: MlflowClient, version: RegisteredVersion, folder: Path) -> Path:
    """Copy a version's evidence to ``folder/evaluation``.

    That is ``predictions.parquet``, ``metrics.json``, the model card (``README.md`` and ``.html``),
    ``plots/`` and ``gate.json``, the verdict of ``validate``.

    Args:
        client: the open store.
        version: which one.
        folder: the parent of the copy.

    Returns:
        That folder; what was there before is replaced.

    Raises:
        BadInput: a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    target = download_evidence_files(client, version, folder)
    _require_same(version.title, target, version.evidence_files)
    return target


def _require_same(title: str, folder: Path, expected: Mapping[str, str]) -> None:
    for name, sha256 in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            raise BadInput(
                f"{title}: {name} is missing from what MLflow keeps of it: somebody has removed "
                "it, do not use this version"
            )
        actual = files.sha256(path)
        if actual != sha256:
            raise BadInput(
                f"{title}: {name} in MLflow is not the one that was registered (sha256 "
                f"{actual[:12]}, expected {sha256[:12]}): somebody has altered it, do not use this "
                "version"
            )
