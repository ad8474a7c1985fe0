"""What the registry has of the models, before and after it was brought in step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.tracking.registry.version_writer import candidate_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class ModelState:
    """A model in the registry.

    Attributes:
        candidate: the version with that alias.
        newest: the version made last; 0 without any.
    """

    candidate: int | None
    newest: int


def states(client: MlflowClient, models: Iterable[str]) -> dict[str, ModelState]:
    """Return what the registry has of each model now."""
    found = {}
    for model in models:
        versions = client.search_model_versions(f"name = '{model}'")
        newest = max((int(version.version) for version in versions), default=0)
        found[model] = ModelState(candidate_of(client, model), newest)
    return found


def sendings(before: int, after: int) -> Iterator[str]:
    """Say what had waited for MLflow and is sent, and what still waits."""
    if before > after:
        yield f"{before - after} record(s) that had waited for MLflow are sent"
    if after:
        yield f"{after} record(s) still wait for MLflow"


def changes(
    before: Mapping[str, ModelState], after: Mapping[str, ModelState], restored: Collection[str]
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
