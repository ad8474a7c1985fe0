"""The audit log of a registered model: every change of an alias, by whom, and why.

It lies on the tracking server, so that every machine sees it. An entry names the sha256 of the one
before: whoever alters, removes or inserts one breaks the chain, and the newest entry's sha256 is
also in a tag of the registered model.

Two writers never overwrite each other: entry n is written once (see ``audit_run``), and whoever
comes second reads again, and writes entry n + 1 if there is still something to say.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.contracts.actor import actor as who_acts
from tasks.errors import BadInput, DownstreamError, one_of
from tasks.tracking.audit.entry import BEFORE_THE_FIRST, Change, Entry, canonical
from tasks.tracking.audit.log import APPLIED, FOUND, HEAD, Log, find_registered, load
from tasks.tracking.audit.problems import problems
from tasks.tracking.audit.run import make_run, write_once

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "FOUND",
    "HEAD",
    "Change",
    "Entry",
    "Log",
    "append",
    "append_next",
    "find_registered",
    "load",
    "mark_applied",
    "problems",
    "read",
    "require_registered",
]

LONGEST_REASON = 2000
ATTEMPTS = 100
PAUSE_SECONDS = 0.2


def read(client: MlflowClient, model: str) -> list[Entry]:
    """Return the entries, oldest first; one that is not JSON any more is left out."""
    return load(client, model).entries


def require_registered(client: MlflowClient, model: str) -> None:
    """Check that there is a registered model.

    Raises:
        BadInput: there is none of that name; the message lists those there are.
    """
    if find_registered(client, model) is None:
        known = [found.name for found in client.search_registered_models()]
        raise BadInput(f"{model}: no such registered model; {one_of(model, known)}")


def append(  # noqa: PLR0913 - each is a field of the entry
    client: MlflowClient,
    model: str,
    action: str,
    *,
    alias: str | None = None,
    version_from: int | None = None,
    version_to: int | None = None,
    reason: str = "",
    evidence: Mapping[str, str] | None = None,
    actor: str | None = None,
) -> Entry:
    """Write an entry after the newest; an alias is changed by ``aliases.move``, which does it all.

    Args:
        client: the open store.
        model: the registered model, which exists.
        action: what was done: ``approve``, ``reject``, ``register``, and so on.
        alias: the alias that was moved.
        version_from: the version that the alias was on.
        version_to: the version that it is on now, or that the action is about.
        reason: why; cut after 2000 characters.
        evidence: what it rests on: hashes and figures, by name.
        actor: who; by default the reviewer of the environment, git's user, or the login name.
    """
    change = Change(action, alias, version_from, version_to, reason, evidence or {}, actor)
    for _ in range(ATTEMPTS):
        entry = append_next(client, load(client, model), change)
        if entry is not None:
            return entry
        pause()
    raise too_busy(model)


def append_next(client: MlflowClient, log: Log, change: Change) -> Entry | None:
    """Write an entry right after those of ``log``; None if somebody else has written one."""
    run_id = log.run_id or make_run(client, log.model)
    before = log.texts.get(log.last_number)
    entry: Entry = {
        "number": log.last_number + 1,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "actor": change.actor or who_acts(),
        "action": change.action,
        "model": log.model,
        "alias": change.alias,
        "version_from": change.version_from,
        "version_to": change.version_to,
        "reason": _shortened(change.reason),
        "evidence": dict(change.evidence),
        "previous": files.sha256_of_text(before) if before else BEFORE_THE_FIRST,
    }
    if not write_once(client, run_id, f"{entry['number']:06d}", canonical(entry)):
        return None
    # A head that fits no entry is the proof of tampering: it stays.
    if log.is_headed():
        write_head(client, load(client, log.model))
    return entry


def write_head(client: MlflowClient, log: Log) -> None:
    """Put the newest entry's number and sha256 into the tag of the registered model."""
    head = f"{log.last_number} {files.sha256_of_text(log.texts[log.last_number])}"
    if log.head != head:
        client.set_registered_model_tag(log.model, HEAD, head)


def mark_applied(client: MlflowClient, model: str, number: int) -> None:
    """Write down that an entry's alias was set; an entry without that is one to be completed."""
    write_once(client, make_run(client, model), f"{APPLIED}{number:06d}", "alias set")


def pause() -> None:
    """Let the others go on, for a time that differs between processes."""
    time.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311 - no secret


def too_busy(model: str) -> DownstreamError:
    """Return the error of those who never got their turn."""
    return DownstreamError(
        f"the audit log of {model}: others wrote each time that this process tried, {ATTEMPTS} "
        "times: run the command again"
    )


def _shortened(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
