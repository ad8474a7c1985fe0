"""The candidates of the workspace's models, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.contracts.params import read_params, rows_of
from tasks.promotion.review.decisions import carry_out_abandoned, outcome
from tasks.promotion.review.store import Review, reviews_of
from tasks.promotion.review.subject import champion_since
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION, settle
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.version import GATE, GATE_MISSED, versions_of
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient


@dataclass(frozen=True)
class Pending:
    """A registered model: who is candidate, who is champion, and what is to be done."""

    model: str
    candidate: int | None
    champion: int | None
    review: Review | None
    """Of this candidate against this champion, if it was made."""
    state: str

    @property
    def waits(self) -> bool:
        """Tell whether somebody has to do something."""
        undecided = self.review is None or self.review.decided is None
        return self.candidate not in (None, self.champion) and undecided


def pending() -> list[Pending]:
    """Return the registered models of ``params.yaml``, those that wait for a decision first."""
    with opened() as client:
        rows = [_pending(client, model) for model in _registered(client)]
    return sorted(rows, key=lambda row: (not row.waits, row.model))


def with_candidate() -> list[str]:
    """Return the models of ``params.yaml`` whose candidate is not the champion."""
    with opened() as client:
        aliases_by_model = {model: aliases_of(client, model) for model in _registered(client)}
    return [
        model
        for model, aliases in aliases_by_model.items()
        if aliases.get(CANDIDATE) not in (None, aliases.get(CHAMPION))
    ]


def _registered(client: MlflowClient) -> list[str]:
    models = rows_of(read_params(), "models")
    return [model for model in models if client.search_registered_models(f"name = '{model}'")]


def _pending(client: MlflowClient, model: str) -> Pending:
    carry_out_abandoned(client, model)
    log = settle(client, model)
    candidate, champion = log.aliases.get(CANDIDATE), log.aliases.get(CHAMPION)
    versions = (candidate, champion, champion_since(log))
    reviews = [review for review in reviews_of(log) if review.subject.versions == versions]
    review = reviews[-1] if reviews else None
    states = [_state(model, candidate, champion, review), *_missed(client, model, candidate)]
    return Pending(model, candidate, champion, review, "; ".join(states))


def _state(model: str, candidate: int | None, champion: int | None, review: Review | None) -> str:
    if candidate is None:
        return "no candidate"
    if candidate == champion:
        return "the candidate is the champion"
    if review is None:
        return f"not compared yet: `downstream review request {model}`"
    if review.decided is None:
        return f"waits for a decision: `downstream review show {model}`"
    return outcome(review)


def _missed(client: MlflowClient, model: str, candidate: int | None) -> list[str]:
    """Say why the newest version did not become the candidate, if it did not."""
    versions = versions_of(client, model)
    newest = versions[-1] if versions else None
    if newest is None or newest.number == candidate or newest.tags.get(GATE) != "missed":
        return []
    return [f"version {newest.number} misses its gates: {newest.tags.get(GATE_MISSED, '')}"]
