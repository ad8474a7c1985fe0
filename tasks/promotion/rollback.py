"""The way back: an earlier champion is champion again, if it is still what it was.

A rollback is made in a hurry, so it asks for no review; but only a version that was champion by a
decision on record can become it again, and only with the weights and the scores of then.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import BadInput, DownstreamError
from tasks.progress import say
from tasks.promotion.connection import connected
from tasks.promotion.rescoring import rescore
from tasks.promotion.review.subject import corpus_of
from tasks.promotion.versions import download_evidence, download_model, tags_of
from tasks.tracking.audit.aliases import CHAMPION, PREVIOUS, move, settle
from tasks.tracking.audit.log import FOUND, AuditLog, require_registered
from tasks.tracking.audit.writer import LONGEST_REASON, Change
from tasks.tracking.registry.version import PREDICTIONS, PREDICTIONS_HASH, WEIGHTS_HASH

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

EVIDENCE = {"weights_sha256": WEIGHTS_HASH, "predictions_sha256": PREDICTIONS_HASH}


def roll_back(model: str, to: int | None, reason: str) -> str:
    """Make an earlier version the champion again.

    Args:
        model: the registered model, a row of ``models``.
        to: the version; by default the one that has the alias ``previous``.
        reason: why; it is recorded.

    Returns:
        One sentence about what was done.

    Raises:
        BadInput: no such version, or it is not what was registered, or it scores otherwise.
        DownstreamError: there is no way back, or somebody has moved the champion meanwhile.
        Unreachable: the store is away.
    """
    _require_reason(reason)
    corpus = corpus_of(model)
    with connected() as client:
        require_registered(client, model)
        log = settle(client, model)
        champion, target = _way_back(client, log, to)
        evidence = _checked(client, log, target, corpus)
        change = Change("rollback", CHAMPION, champion, target, reason, evidence)
        move(client, model, change, expected=champion)
    return (
        f"{model}: version {target} is the champion again, version {champion} is `previous`; "
        f"{evidence['rescored']}"
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise BadInput("--reason: it is empty; it is recorded, so that others can understand")
    if len(reason) > LONGEST_REASON:
        raise BadInput(
            f"--reason: {len(reason):,} characters are too long to be recorded: "
            f"{LONGEST_REASON:,} at most"
        )


def _way_back(client: MlflowClient, log: AuditLog, to: int | None) -> tuple[int, int]:
    """Return today's champion, and the version that is to be champion again."""
    model, now = log.model, log.aliases
    if CHAMPION not in now:
        raise DownstreamError(
            f"{model} has no champion that could be rolled back: `downstream review approve "
            f"{model}` makes its candidate the first"
        )
    target = to if to is not None else now.get(PREVIOUS)
    if target is None:
        raise DownstreamError(
            f"{model} has no version `previous`: version {now[CHAMPION]} is its first champion"
        )
    tags_of(client, model, target)
    if target == now[CHAMPION]:
        raise DownstreamError(f"{model} version {target} is the champion already")
    decided = _decided(log)
    if target not in decided:
        raise BadInput(
            f"{model} version {target} was never made champion by a decision on record (those: "
            f"{', '.join(map(str, sorted(decided))) or 'none'}): `downstream review` decides on it"
        )
    return now[CHAMPION], target


def _decided(log: AuditLog) -> set[int]:
    return {
        entry["version_to"]
        for entry in log.entries
        if entry["alias"] == CHAMPION
        and entry["action"] != FOUND
        and entry["version_to"] is not None
    }


def _checked(client: MlflowClient, log: AuditLog, version: int, corpus: str) -> dict[str, str]:
    """Return the evidence that a version is what it was; its files and its scores are compared."""
    model = log.model
    for problem in log.problems():
        say(f"warning: {problem}: the rollback goes on, and the log stays as it is")
    tags = tags_of(client, model, version)
    with tempfile.TemporaryDirectory() as temporary:
        folder = download_model(client, model, version, Path(temporary))
        evidence = download_evidence(client, model, version, Path(temporary))
        who = f"{model} version {version}"
        rescored = rescore(who, folder, evidence / PREDICTIONS, corpus)
    hashes = {name: tags[tag] for name, tag in EVIDENCE.items() if tag in tags}
    return {**hashes, "rescored": rescored}
