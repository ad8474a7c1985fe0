"""Whether the audit log of a registered model still is what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.tracking.audit.entry import BEFORE_THE_FIRST
from tasks.tracking.audit.log import HEAD, Log, find_registered, load

if TYPE_CHECKING:
    from mlflow import MlflowClient


def problems(client: MlflowClient, model: str) -> list[str]:
    """Return what is wrong with the log, one line each; none if it holds.

    That is a missing or altered entry, a head that is not that of its entry, and an alias that is
    not where the log has left it.
    """
    log = load(client, model)
    return [*_broken_links(log), *_wrong_head(log), *_strayed(client, log)]


def _broken_links(log: Log) -> list[str]:
    found = []
    readable = {entry["number"]: entry for entry in log.entries}
    for number in range(1, log.last_number + 1):
        if number not in log.texts:
            found.append(f"{log.model}: entry {number} is missing")
        elif number not in readable:
            found.append(f"{log.model}: entry {number} was altered: it is no entry any more")
        elif number == 1 and readable[1]["previous"] != BEFORE_THE_FIRST:
            found.append(f"{log.model}: entry 1 was altered: it names an entry before it")
        elif number - 1 in log.texts:
            before = files.sha256_of_text(log.texts[number - 1])
            if readable[number]["previous"] != before:
                found.append(
                    f"{log.model}: entry {number - 1} was altered: its sha256 is {before[:12]}, "
                    f"entry {number} has {readable[number]['previous'][:12]}"
                )
    return found


def _wrong_head(log: Log) -> list[str]:
    if log.is_headed():
        return []
    if log.head is None:
        return [f"{log.model}: the registered model has lost its tag {HEAD}"]
    number, _, sha256 = log.head.partition(" ")
    text = log.texts.get(int(number)) if number.isdigit() else None
    if text is None:
        return [
            f"{log.model}: the log was cut: the registered model's tag {HEAD} names entry {number}"
            f", the log has {len(log.texts)}"
        ]
    return [
        f"{log.model}: entry {number} was altered: its sha256 is "
        f"{files.sha256_of_text(text)[:12]}, the registered model's tag {HEAD} has {sha256[:12]}"
    ]


def _strayed(client: MlflowClient, log: Log) -> list[str]:
    registered = find_registered(client, log.model)
    aliases = registered.aliases if registered is not None else {}
    now = {alias: int(number) for alias, number in aliases.items()}
    logged = log.aliases()
    return [
        f"{log.model}: {alias} is on version {now.get(alias, 'none')}, the log has left it on "
        f"version {logged.get(alias, 'none')}"
        for alias in sorted({*logged, *now})
        if now.get(alias) != logged.get(alias)
    ]
