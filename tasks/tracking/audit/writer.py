"""Adding to the audit log: entries, the marks that they were applied, and claims.

Two writers never overwrite each other: a key is written once (see ``run``), and whoever comes
second with entry n reads again, and writes entry n + 1 if there is still something to say. Of
several who claim one subject exactly one gets it, on whatever machine.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import DownstreamError
from tasks.machine.actor import actor as who_acts
from tasks.tracking.audit.log import (
    APPLIED,
    BEFORE_THE_FIRST,
    CLAIM,
    HEAD,
    LAST_NUMBER,
    AuditLog,
    Entry,
    canonical,
    read_log,
)
from tasks.tracking.audit.run import make_run, write_once

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST_REASON = 2000
"""Characters; what is longer is cut."""
ATTEMPTS = 100
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Change:
    """What is to be written.

    Attributes:
        action: what was done: ``register``, ``approve``, ``reject``, ``rollback``, ``found``.
        alias: the alias that moves; None for an action that moves none.
        version_from: the version that it was on; None if there was none.
        version_to: the version that it is on now, or that the action is about.
        reason: why.
        evidence: what it rests on: hashes and metrics, by name.
        actor: who; None for the reviewer of the environment, git's user, or the login name.
    """

    action: str
    alias: str | None = None
    version_from: int | None = None
    version_to: int | None = None
    reason: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    actor: str | None = None


def append(client: MlflowClient, model: str, change: Change) -> Entry:
    """Write an entry at the end of a model's log, whoever else writes meanwhile.

    Args:
        client: the open store.
        model: the registered model; it must be there.
        change: what the entry says.

    Returns:
        The entry.

    Raises:
        DownstreamError: others wrote each time that this process tried.
    """
    for _ in range(ATTEMPTS):
        entry = append_next(client, read_log(client, model), change)
        if entry is not None:
            return entry
        pause()
    raise too_busy(model)


def append_next(client: MlflowClient, log: AuditLog, change: Change) -> Entry | None:
    """Write an entry right after those of a log.

    Args:
        client: the open store.
        log: as it was read.
        change: what the entry says.

    Returns:
        The entry; None if somebody else has written one since.

    Raises:
        DownstreamError: there is no number left for it.
    """
    run_id = log.run_id or make_run(client, log.model)
    if log.last_number >= LAST_NUMBER:
        raise DownstreamError(
            f"the log of {log.model} is full: its last entry is {log.last_number:,}, which is none "
            f"of ours if others are missing (`downstream history {log.model} --verify`): restore "
            "MLflow's database from a backup, or rename the experiment to begin a new log"
        )
    before = log.texts.get(log.last_number)
    reason = change.reason
    if len(reason) > LONGEST_REASON:
        reason = reason[: LONGEST_REASON - 1] + "…"
    entry: Entry = {
        "number": log.last_number + 1,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "actor": change.actor or who_acts(),
        "action": change.action,
        "model": log.model,
        "alias": change.alias,
        "version_from": change.version_from,
        "version_to": change.version_to,
        "reason": reason,
        "evidence": dict(change.evidence),
        "previous": files.sha256_of_text(before) if before else BEFORE_THE_FIRST,
    }
    if not write_once(client, run_id, f"{entry['number']:06d}", canonical(entry)):
        return None
    # A head that fits no entry is the proof of tampering: it stays.
    if log.is_headed():
        now = read_log(client, log.model)
        head = f"{now.last_number} {files.sha256_of_text(now.texts[now.last_number])}"
        if now.head != head:
            client.set_registered_model_tag(log.model, HEAD, head)
    return entry


def mark_applied(client: MlflowClient, entry: Entry) -> None:
    """Write down that an entry's alias was set; an entry without that is one to be completed."""
    run_id = make_run(client, entry["model"])
    write_once(client, run_id, f"{APPLIED}{entry['number']:06d}", "alias set")


def claim(
    client: MlflowClient, model: str, subject: str, intent: Mapping[str, Any]
) -> dict[str, Any]:
    """Claim a subject with what is going to be done about it, unless somebody has.

    A claim is for ever: after a crash, whoever comes next completes what was claimed.

    Args:
        client: the open store.
        model: the registered model.
        subject: what is claimed: letters, digits, ``_ - . /`` and spaces, at most 240.
        intent: what is going to be done; plain JSON.

    Returns:
        The intent that holds: ours, or that of who came first.

    Raises:
        DownstreamError: what came first is no intent.
    """
    ours = canonical(intent)
    if write_once(client, make_run(client, model), CLAIM + subject, ours):
        held: dict[str, Any] = json.loads(ours)
        return held
    found = read_log(client, model).claims.get(subject)
    if found is None:
        raise DownstreamError(
            f"{model}: the claim {subject} is none that downstream has made: find out who has "
            f"written it (`downstream history {model} --verify`)"
        )
    return found


def pause() -> None:
    """Let the others go on, for a time that differs between processes."""
    time.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311 - no secret


def too_busy(model: str) -> DownstreamError:
    """Return the error of those who never got their turn."""
    return DownstreamError(
        f"the audit log of {model}: others wrote each time that this process tried, {ATTEMPTS} "
        "times: run the command again"
    )
