"""The aliases of a registered model: moved with an entry of the audit log, or not at all.

MLflow sets an alias without asking what it was before, and keeps no record. So the entry is
written first, then the alias is set, then the entry is marked as applied. The log decides: whoever
has set an alias reads the log again, and sets it anew if a later entry says otherwise. An entry
that was not applied is one whose writer was killed; the next command completes it. Any other
difference between the log and the aliases was made by hand, and is recorded as such.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from tasks.errors import BadInput, DownstreamError
from tasks.progress import say
from tasks.tracking.audit import audit
from tasks.tracking.audit.audit import Change, Entry, Log

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE = "candidate"
CHAMPION = "champion"
PREVIOUS = "previous"
BY_HAND = "unknown, outside downstream"
SETTLING_SECONDS = 1.0
"""A difference that is gone after this time was another machine's move under way."""
Anything = Literal["anything"]


def current(client: MlflowClient, model: str) -> dict[str, int]:
    """Return the version that each alias is on; none if there is no such model."""
    registered = audit.find_registered(client, model)
    found = registered.aliases if registered is not None else {}
    return {alias: int(number) for alias, number in sorted(found.items())}


def notice(client: MlflowClient, model: str) -> list[Entry]:
    """Compare the aliases with the log: complete what was begun, record what was done by hand.

    Returns:
        The entries about changes made by hand, which this call has written.
    """
    found: list[Entry] = []
    _settled(client, model, found)
    return found


def _settled(client: MlflowClient, model: str, found: list[Entry]) -> Log:
    """Return a log that agrees with the aliases; what was done by hand is added to ``found``."""
    seen: Change | None = None
    for _ in range(audit.ATTEMPTS):
        # The log is read first: an alias that downstream moves meanwhile has an entry after it, so
        # that ours is refused.
        log = audit.load(client, model)
        now = current(client, model)
        if _complete(client, log, now):
            continue
        change = _difference(log, now)
        if change is None:
            return log
        if change != seen:
            seen = change
            time.sleep(SETTLING_SECONDS)
            continue
        entry = audit.append_next(client, log, change)
        if entry is not None:
            say(
                f"warning: {described(entry)} outside downstream; recorded as entry "
                f"{entry['number']}"
            )
            found.append(entry)
    raise audit.too_busy(model)


def move(  # noqa: PLR0913 - each is a field of the entry
    client: MlflowClient,
    model: str,
    alias: str,
    to: int | None,
    *,
    action: str,
    reason: str,
    evidence: Mapping[str, str],
    actor: str | None = None,
    expected: int | Anything | None = "anything",
) -> Entry | None:
    """Move an alias and record it; a version that leaves ``champion`` gets ``previous``.

    Args:
        client: the open store.
        model: the registered model.
        alias: ``candidate``, ``champion``, ``previous``.
        to: the version; None removes the alias.
        action: what is done: ``register``, ``approve``, ``rollback``.
        reason: why.
        evidence: what it rests on.
        actor: who; see ``audit.append``.
        expected: the version that the alias must be on now; ``"anything"`` for whatever it is. Of
            two who expect the same, one moves it, and the other is told.

    Returns:
        The entry; None if the alias was there already.

    Raises:
        BadInput: there is no such version.
        DownstreamError: the alias is not on the expected version.
    """
    for _ in range(audit.ATTEMPTS):
        log = _settled(client, model, [])
        now = log.aliases().get(alias)
        if expected not in ("anything", now):
            raise DownstreamError(
                f"{alias} of {model} is on {_version(now)} by now: somebody has moved it; see "
                f"`downstream history {model}`"
            )
        if now == to:
            return None
        _require_version(client, model, to)
        entry = audit.append_next(
            client, log, Change(action, alias, now, to, reason, evidence, actor)
        )
        if entry is not None:
            _apply(client, model, entry)
            if alias == CHAMPION:
                _settled(client, model, [])
            return entry
        audit.pause()
    raise audit.too_busy(model)


def described(entry: Entry) -> str:
    """Say which alias went from where to where."""
    gone, come = _version(entry["version_from"]), _version(entry["version_to"])
    return f"{entry['alias']} of {entry['model']} was moved from {gone} to {come}"


def _complete(client: MlflowClient, log: Log, now: Mapping[str, int]) -> bool:
    """Do what an entry says and nobody has done; False if there was nothing of the kind."""
    for alias in {entry["alias"]: None for entry in log.entries if entry["alias"]}:
        entry = log.last(alias)
        if entry is None or log.is_applied(entry):
            continue
        is_between = now.get(alias) in (entry["version_from"], entry["version_to"])
        if is_between and _exists(client, log.model, entry["version_to"]):
            _apply(client, log.model, entry)
            return True
    return _follow_champion(client, log, now)


def _follow_champion(client: MlflowClient, log: Log, now: Mapping[str, int]) -> bool:
    """Put ``previous`` on the version that the champion's last move left, if nobody has."""
    moved, followed = log.last(CHAMPION), log.last(PREVIOUS)
    if moved is None or moved["version_from"] is None:
        return False
    if followed is not None and followed["number"] > moved["number"]:
        return False
    before, to = log.aliases().get(PREVIOUS), moved["version_from"]
    # One that was set by hand is recorded first, and then stays.
    if to == before or now.get(PREVIOUS) != before or not _exists(client, log.model, to):
        return False
    actor = None if moved["action"] == audit.FOUND else moved["actor"]
    reason = f"it was the champion before entry {moved['number']}"
    change = Change("follow", PREVIOUS, before, to, reason, {}, actor)
    entry = audit.append_next(client, log, change)
    if entry is not None:
        _apply(client, log.model, entry)
    return True


def _apply(client: MlflowClient, model: str, entry: Entry) -> None:
    """Set an alias as its newest entry says, also if that is written only now."""
    alias = str(entry["alias"])
    while True:
        number = entry["version_to"]
        if number is None:
            client.delete_registered_model_alias(model, alias)
        else:
            _set(client, model, alias, number)
        audit.mark_applied(client, model, entry["number"])
        newest = audit.load(client, model).last(alias)
        if newest is None or newest["number"] <= entry["number"]:
            return
        entry = newest


def _set(client: MlflowClient, model: str, alias: str, number: int) -> None:
    """Set an alias, again where MLflow fails since another process has made it meanwhile."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(model, alias, str(number))
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        audit.pause()
        client.set_registered_model_alias(model, alias, str(number))


def _difference(log: Log, now: Mapping[str, int]) -> Change | None:
    """Return a change of an alias that the log does not have."""
    logged = log.aliases()
    for alias in sorted({*logged, *now}):
        if logged.get(alias) != now.get(alias):
            reason = "the alias was not where the log had left it"
            return Change(
                audit.FOUND, alias, logged.get(alias), now.get(alias), reason, {}, BY_HAND
            )
    return None


def _require_version(client: MlflowClient, model: str, number: int | None) -> None:
    if not _exists(client, model, number):
        raise BadInput(
            f"{model} has no version {number} in the registry: `downstream history {model}` says "
            "which versions its aliases were on"
        )


def _exists(client: MlflowClient, model: str, number: int | None) -> bool:
    """Tell whether an alias can be put on a version; it can always be removed."""
    from mlflow.exceptions import MlflowException

    if number is None:
        return True
    try:
        client.get_model_version(model, str(number))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
