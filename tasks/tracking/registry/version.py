"""One version of a registered model: what its tags say, its files, and those of its evidence.

On the registry's page stand five tags that a reviewer reads (``READ``). All else that a version is
bound to is one more tag, ``what it is bound to``, as JSON; earlier versions of this project wrote a
tag for each of these, and are read as well.

A version's model never changes. Its evidence may: the same model is evaluated again when the test
split or the code changes. Each evidence is a run of its own, and the version's tags name the one
that holds now.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput, Unreachable
from tasks.tracking.store import errors, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

BINDINGS = "what it is bound to"
"""It is long, and the page sorts tags by name: so it stands behind those that are read."""
REVIEW = "review"
READ = ("accuracy", "lead over linear", "gain", "verdict", REVIEW)
CONTENT_HASH = "downstream.content_hash"
WEIGHTS_HASH = "downstream.weights_sha256"
MODEL_FILES = "downstream.model_files"
"""The sha256 of every file of the model, as JSON; so of the evidence."""
SERVED_FILES = "downstream.served_files"
"""The sha256 of every other file that serving reads, the code first; older versions have none."""
EVIDENCE_FILES = "downstream.evidence_files"
EVIDENCE_HASH = "downstream.evidence_hash"
EVIDENCE_RUN = "downstream.evidence_run"
PREDICTIONS_HASH = "downstream.predictions_sha256"
METRICS_HASH = "downstream.metrics_sha256"
VALIDATION = "downstream.validation"
GATE = "downstream.gate"
GATE_MISSED = "downstream.gate_missed"

# Where the files of a version lie: ``model/`` in the logged model, the evidence in its run.
SERVED = "served"
ADDED_BY_MLFLOW = "registered_model_meta"
"""What MLflow puts beside the files of a version when it is asked for them."""
MODEL, EVIDENCE, UNCOMMITTED = "model", "evaluation", "uncommitted.diff"
WEIGHTS = "model.safetensors"
PREDICTIONS, METRICS = "predictions.parquet", "metrics.json"
CARD, GATE_FILE = "README.md", "gate.json"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the registry has it, read once.

    Attributes:
        model: the registered model.
        number: the version's number.
        tags: what it is bound to, and what a reviewer reads.
        evidence_run: the run that keeps the evidence that holds now.
        description: the beginning of its card.
    """

    model: str
    number: int
    tags: Mapping[str, str]
    evidence_run: str
    description: str = ""

    @property
    def title(self) -> str:
        """How a person knows it."""
        return f"{self.model} version {self.number}"

    @property
    def content_hash(self) -> str:
        """The sha256 of the model's folder; empty where it is not known."""
        return self.tags.get(CONTENT_HASH, "")

    @property
    def weights_sha256(self) -> str:
        """The sha256 of the weights; empty where it is not known."""
        return self.tags.get(WEIGHTS_HASH, "")

    @property
    def model_files(self) -> dict[str, str]:
        """The sha256 of each file of the model, as far as the tags name them."""
        return self._sums(MODEL_FILES, {WEIGHTS: WEIGHTS_HASH})

    @property
    def served_files(self) -> dict[str, str] | None:
        """The sha256 of each file that is served beside the model; None where no tag names them."""
        text = self.tags.get(SERVED_FILES)
        return None if text is None else dict(json.loads(text))

    @property
    def evidence_files(self) -> dict[str, str]:
        """The sha256 of each file of the evidence, as far as the tags name them."""
        return self._sums(EVIDENCE_FILES, {PREDICTIONS: PREDICTIONS_HASH, METRICS: METRICS_HASH})

    def _sums(self, all_files: str, single: Mapping[str, str]) -> dict[str, str]:
        named = {name: self.tags[tag] for name, tag in single.items() if tag in self.tags}
        return {**json.loads(self.tags.get(all_files, "{}")), **named}


def versions_of(client: MlflowClient, model: str) -> list[RegisteredVersion]:
    """Return the versions of a model, oldest first; none where there is no such model."""
    versions = []
    for version in client.search_model_versions(f"name = '{model}'"):
        tags = _unfolded(version.tags)
        versions.append(
            RegisteredVersion(
                model=model,
                number=int(version.version),
                tags=tags,
                description=version.description or "",
                evidence_run=tags.get(EVIDENCE_RUN, version.run_id),
            )
        )
    return sorted(versions, key=lambda version: version.number)


def _unfolded(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a version's tags, those in ``what it is bound to`` as if each were one.

    They hold where both are there: whoever sets another tag binds the version to nothing else.
    """
    plain = {name: text for name, text in tags.items() if name != BINDINGS}
    try:
        bound = json.loads(tags.get(BINDINGS, "{}"))
    except (ValueError, RecursionError):
        bound = {}
    if not isinstance(bound, dict):
        bound = {}
    return {**plain, **{name: text for name, text in bound.items() if isinstance(text, str)}}


def folded(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags as the registry has them: those to be read, and all others as one.

    Args:
        tags: all tags of a version, or of one to be made.
    """
    read = {name: tags[name] for name in READ if name in tags}
    bound = {name: text for name, text in sorted(tags.items()) if name not in READ}
    return {**read, BINDINGS: json.dumps(bound)}


def read_version(client: MlflowClient, model: str, number: int) -> RegisteredVersion:
    """Return a version as the registry has it.

    Args:
        client: the open store.
        model: the registered model.
        number: the version's number.

    Raises:
        BadInput: there is no such version.
    """
    for version in versions_of(client, model):
        if version.number == number:
            return version
    raise BadInput(
        f"{model} has no version {number} in the registry: `downstream history {model}` "
        "lists those it has"
    )


def download_model_files(client: MlflowClient, version: RegisteredVersion, folder: Path) -> Path:
    """Copy the model's files to ``folder/model``, and what is served with it to ``folder/served``.

    Args:
        client: the open store.
        version: whose files.
        folder: the parent of the folders that are written, or replaced.

    Returns:
        ``folder/model``.

    Raises:
        Unreachable: MLflow does not give them.
    """
    uri = f"models:/{version.model}/{version.number}"
    served = _download(client, uri, folder / SERVED, version.title)
    model = served / "artifacts" / MODEL
    if not model.is_dir():
        raise Unreachable(f"{version.title}: MLflow does not give its files ({uri})")
    files.replace_folder(model, folder / MODEL)
    return folder / MODEL


def served_sums(served: Path) -> dict[str, str]:
    """Return the sha256 of each file of a logged model, by name; those of the model apart.

    Args:
        served: the folder of the logged model.
    """
    names = {path.relative_to(served).as_posix(): path for path in served.rglob("*")}
    return {
        name: files.sha256(path)
        for name, path in sorted(names.items())
        if path.is_file() and not name.startswith(f"artifacts/{MODEL}/") and name != ADDED_BY_MLFLOW
    }


def download_evidence_files(client: MlflowClient, version: RegisteredVersion, folder: Path) -> Path:
    """Copy the files of the evidence to ``folder/evaluation``, and return that.

    Args:
        client: the open store.
        version: whose evidence.
        folder: the parent of the folder that is written, or replaced.

    Raises:
        Unreachable: MLflow does not give them.
    """
    uri = f"runs:/{version.evidence_run}/{EVIDENCE}"
    return _download(client, uri, folder / EVIDENCE, version.title)


def _download(client: MlflowClient, uri: str, target: Path, title: str) -> Path:
    from mlflow.artifacts import download_artifacts

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
        try:
            downloaded = download_artifacts(
                artifact_uri=uri,
                dst_path=temporary,
                tracking_uri=client.tracking_uri,
            )
        except errors() as error:
            raise Unreachable(
                f"{title}: MLflow does not give its files ({uri}): {first_line(error)}"
            ) from error
        files.replace_folder(Path(downloaded), target)
    return target
