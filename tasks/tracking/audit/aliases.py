"""The aliases of a registered model: moved with an entry of the audit log, or not at all.

MLflow sets an alias without asking what it was before, and keeps no record. So the entry is
written first, then the alias is set, then the entry is marked as applied. The log decides: whoever
has set an alias reads the log again, and sets it anew if a later entry says otherwise. An entry
that was not applied is one whose writer was killed; the next command completes it. Any other
difference between the log and the aliases was made by hand, and is recorded as such.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from tasks.errors import BadInput, DownstreamError
from tasks.progress import say
from tasks.tracking.audit.log import FOUND, AuditLog, Entry, read_log
from tasks.tracking.audit.writer import (
    ATTEMPTS,
    Change,
    append,
    append_next,
    mark_applied,
    pause,
    too_busy,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE = "candidate"
CHAMPION = "champion"
PREVIOUS = "previous"
BY_HAND = "unknown, outside downstream"
SETTLING_SECONDS = 1.0
"""A difference that is gone after this time was another machine's move under way."""


def settle(client: MlflowClient, model: str) -> AuditLog:
    """Compare the aliases with the log: complete what was begun, record what was done by hand.

    Returns:
        The log, with which the aliases agree.

    Raises:
        DownstreamError: others wrote each time that this process tried; or there are aliases and
            no log.
    """
    seen: Change | None = None
    for _ in range(ATTEMPTS):
        log = read_log(client, model)
        log.require_begun()
        if _complete(client, log) or _follow_champion(client, log):
            continue
        change = _difference(log)
        if change is None:
            return log
        if change != seen:
            seen = change
            time.sleep(SETTLING_SECONDS)
            continue
        entry = append_next(client, log, change)
        if entry is not None:
            say(
                f"warning: {described(entry)} outside downstream; recorded as entry "
                f"{entry['number']}"
            )
    raise too_busy(model)


def begin_log(client: MlflowClient, model: str, reason: str) -> list[Entry]:
    """Begin the log of a model whose aliases were set by hand, before there was one.

    Args:
        client: the open store.
        model: the registered model.
        reason: why they are where they are.

    Returns:
        An entry for each alias.

    Raises:
        DownstreamError: there is a log, or no alias.
    """
    log = read_log(client, model)
    if log.run_id is not None or not log.aliases:
        raise DownstreamError(
            f"{model}: nothing to begin: "
            + ("it has an audit log" if log.run_id else "it has no alias, and so needs no log")
        )
    why = f"set before there was a log: {reason}"
    changes = [Change(FOUND, alias, None, to, why) for alias, to in log.aliases.items()]
    return [append(client, model, change) for change in changes]


def move(
    client: MlflowClient,
    model: str,
    change: Change,
    *,
    expected: int | Literal["anything"] | None = "anything",
) -> Entry | None:
    """Move an alias and record it; a version that leaves ``champion`` gets ``previous``.

    Args:
        client: the open store.
        model: the registered model.
        change: what is done; ``alias`` and ``version_to`` say where it goes (None removes the
            alias), ``version_from`` is filled in.
        expected: the version that the alias must be on now; ``"anything"`` for whatever it is. Of
            two who expect the same, one moves it, and the other is told.

    Returns:
        The entry; None if the alias was there already.

    Raises:
        BadInput: there is no such version.
        DownstreamError: the alias is not on the expected version.
    """
    alias, to = str(change.alias), change.version_to
    for _ in range(ATTEMPTS):
        log = settle(client, model)
        now = log.aliases.get(alias)
        if expected not in ("anything", now):
            raise DownstreamError(
                f"{alias} of {model} is on {_version(now)} by now: somebody has moved it; see "
                f"`downstream history {model}`"
            )
        if now == to:
            return None
        if not _exists(client, model, to):
            raise BadInput(
                f"{model} has no version {to} in the registry: `downstream history {model}` says "
                "which versions its aliases were on"
            )
        entry = append_next(client, log, replace(change, version_from=now))
        if entry is not None:
            _apply(client, entry)
            if alias == CHAMPION:
                settle(client, model)
            return entry
        pause()
    raise too_busy(model)


def described(entry: Entry) -> str:
    """Say which alias went from where to where."""
    gone, come = _version(entry["version_from"]), _version(entry["version_to"])
    return f"{entry['alias']} of {entry['model']} was moved from {gone} to {come}"


def _complete(client: MlflowClient, log: AuditLog) -> bool:
    """Do what an entry says and nobody has done; False if there was nothing of the kind."""
    for alias in {entry["alias"]: None for entry in log.entries if entry["alias"]}:
        entry = log.last(alias)
        if entry is None or log.is_applied(entry):
            continue
        is_between = log.aliases.get(alias) in (entry["version_from"], entry["version_to"])
        if is_between and _exists(client, log.model, entry["version_to"]):
            _apply(client, entry)
            return True
    return False


def _follow_champion(client: MlflowClient, log: AuditLog) -> bool:
    """Put ``previous`` on the version that the champion's last move left, if nobody has."""
    moved, followed = log.last(CHAMPION), log.last(PREVIOUS)
    if moved is None or moved["version_from"] is None:
        return False
    if followed is not None and followed["number"] > moved["number"]:
        return False
    before, to = log.logged_aliases().get(PREVIOUS), moved["version_from"]
    # One that was set by hand is recorded first, and then stays.
    is_by_hand = log.aliases.get(PREVIOUS) != before
    if to == before or is_by_hand or not _exists(client, log.model, to):
        return False
    actor = None if moved["action"] == FOUND else moved["actor"]
    reason = f"it was the champion before entry {moved['number']}"
    entry = append_next(client, log, Change("follow", PREVIOUS, before, to, reason, {}, actor))
    if entry is not None:
        _apply(client, entry)
    return True


def _difference(log: AuditLog) -> Change | None:
    """Return a change of an alias that the log does not have."""
    logged = log.logged_aliases()
    for alias in sorted({*logged, *log.aliases}):
        before, now = logged.get(alias), log.aliases.get(alias)
        if before != now:
            reason = "the alias was not where the log had left it"
            return Change(FOUND, alias, before, now, reason, {}, BY_HAND)
    return None


def _apply(client: MlflowClient, entry: Entry) -> None:
    """Set an alias as its newest entry says, also if that is written only now."""
    model, alias = entry["model"], str(entry["alias"])
    while True:
        number = entry["version_to"]
        if number is None:
            client.delete_registered_model_alias(model, alias)
        else:
            _set(client, model, alias, number)
        mark_applied(client, entry)
        newest = read_log(client, model).last(alias)
        if newest is None or newest["number"] <= entry["number"]:
            return
        entry = newest


def _set(client: MlflowClient, model: str, alias: str, number: int) -> None:
    """Set an alias, again where MLflow fails since another process has made it meanwhile."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(model, alias, str(number))
    except MlflowException:
        pause()
        client.set_registered_model_alias(model, alias, str(number))


def _exists(client: MlflowClient, model: str, number: int | None) -> bool:
    """Tell whether an alias can be put on a version; it can always be removed."""
    versions = client.search_model_versions(f"name = '{model}'") if number is not None else []
    return number is None or any(int(version.version) == number for version in versions)


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
