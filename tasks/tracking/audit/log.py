"""The audit log of a registered model, as it was read at one moment, and whether it holds.

It lies on the tracking server, so that every machine sees it. An entry names the sha256 of the one
before: whoever alters, removes or inserts one breaks the chain, and the newest entry's sha256 is
also in a tag of the registered model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

from tasks.contracts import files
from tasks.errors import BadInput, DownstreamError, one_of
from tasks.tracking.audit.run import EXPERIMENT, find_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

HEAD = "downstream.audit_head"
FOUND = "found"
"""The action of a change that was not made by downstream."""
BEFORE_THE_FIRST = "0" * 64
"""What stands in the first entry for the sha256 of the one before."""
# What the parameters of the run are: entry n is ``00000n``.
ENTRY = re.compile(r"(?!0{6})[0-9]{6}")
LAST_NUMBER = 999_999
"""There is no key for more entries."""
APPLIED = "applied."
CLAIM = "claim."


class Entry(TypedDict):
    """One line of the log; its canonical JSON text is what is kept and hashed."""

    number: int
    time: str
    """UTC, ISO 8601, to the second."""
    actor: str
    action: str
    model: str
    alias: str | None
    version_from: int | None
    version_to: int | None
    reason: str
    evidence: dict[str, str]
    previous: str
    """The sha256 of the text of the entry before; 64 zeros in the first."""


_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("time", "actor", "action", "model", "reason", "previous"), (str,)),
    "number": (int,),
    "alias": (str, _NONE),
    "version_from": (int, _NONE),
    "version_to": (int, _NONE),
    "evidence": (dict,),
}
"""What the values of an entry may be; those of its evidence are texts."""


@dataclass(frozen=True)
class AuditLog:
    """The log, the claims and the aliases of one registered model.

    Attributes:
        model: the registered model.
        run_id: the run that holds the log; None before the first entry.
        head: the tag of the registered model, read before the entries; None where there is none.
        params: the parameters of the run: entries, marks and claims.
        aliases: the version that each alias is on, read after the entries.
    """

    model: str
    run_id: str | None
    head: str | None
    params: Mapping[str, str]
    aliases: Mapping[str, int]

    @cached_property
    def texts(self) -> dict[int, str]:
        """Return the entries' texts by number, in order."""
        return {int(key): self.params[key] for key in sorted(self.params) if ENTRY.fullmatch(key)}

    @cached_property
    def entries(self) -> list[Entry]:
        """Return the entries, oldest first; one that cannot be read any more is left out."""
        parsed = (_parse(number, text) for number, text in self.texts.items())
        return [entry for entry in parsed if entry is not None]

    @cached_property
    def claims(self) -> dict[str, dict[str, Any]]:
        """Return what was claimed: the intent of who came first, by subject; JSON objects alone."""
        parsed = {key: _intent(text) for key, text in self.params.items() if key.startswith(CLAIM)}
        return {key.removeprefix(CLAIM): intent for key, intent in parsed.items() if intent}

    @property
    def last_number(self) -> int:
        """Return the newest entry's number; 0 in an empty log."""
        return max(self.texts, default=0)

    @property
    def newest(self) -> str:
        """Return the newest entry's number and sha256, which its whole log follows from."""
        text = self.texts.get(self.last_number)
        return f"{self.last_number} {files.sha256_of_text(text) if text else BEFORE_THE_FIRST}"

    def has(self, head: str) -> bool:
        """Tell whether a number and sha256, as ``newest`` gave them once, are of an entry here."""
        number, _, sha256 = head.partition(" ")
        if number == "0":
            return sha256 == BEFORE_THE_FIRST
        text = self._text_of(number)
        return text is not None and files.sha256_of_text(text) == sha256

    def _text_of(self, number: str) -> str | None:
        """Return the text of the entry whose number a head names, if there is one."""
        return self.params.get(number.zfill(6)) if ENTRY.fullmatch(number.zfill(6)) else None

    def last(self, alias: str) -> Entry | None:
        """Return the newest entry about an alias."""
        return next((entry for entry in reversed(self.entries) if entry["alias"] == alias), None)

    def logged_aliases(self) -> dict[str, int]:
        """Return where the entries leave each alias."""
        last = {entry["alias"]: entry["version_to"] for entry in self.entries}
        return {alias: number for alias, number in last.items() if alias and number is not None}

    def is_applied(self, entry: Entry) -> bool:
        """Tell whether an entry's alias was set; what was found is always so."""
        return entry["action"] == FOUND or f"{APPLIED}{entry['number']:06d}" in self.params

    def is_headed(self) -> bool:
        """Tell whether the head is that of an entry of this log, be it not the newest.

        The head is written after the entry, so it may lag; that of the first may be missing.
        """
        if self.head is None:
            return self.last_number <= 1
        return self.has(self.head)

    def require_begun(self) -> None:
        """Check that a model with aliases has a log.

        Raises:
            DownstreamError: it has none, so that nobody knows who has set them.
        """
        if self.run_id is None and self.aliases:
            raise DownstreamError(
                f"{self.model} has the aliases {', '.join(self.aliases)} and no audit log: "
                f"somebody has renamed its experiment {EXPERIMENT + self.model!r} in MLflow (name "
                "it so again) or removed it (restore MLflow's database). If they were set before "
                f"there was a log: `downstream history {self.model} --begin-log REASON`"
            )

    def problems(self) -> list[str]:
        """Return what is wrong with the log, one line each; none if it holds.

        That is a missing or altered entry, a head that is not that of its entry, and an alias that
        is not where the log has left it.
        """
        problems = [
            *self._broken_links(),
            *self._wrong_head(),
            *self._strayed_aliases(),
            *self._unreadable_claims(),
        ]
        return [f"{self.model}: {problem}" for problem in problems]

    def _broken_links(self) -> Iterator[str]:
        readable = {entry["number"]: entry for entry in self.entries}
        before_it = 0
        for number in self.texts:
            # One line for all of them: who plants a last entry plants no million lines.
            if number == before_it + 2:
                yield f"entry {number - 1} is missing"
            elif number > before_it + 2:
                yield f"entries {before_it + 1} to {number - 1} are missing"
            before_it = number
            if number not in readable:
                yield f"entry {number} was altered: it is no entry any more"
            elif number == 1 and readable[1]["previous"] != BEFORE_THE_FIRST:
                yield "entry 1 was altered: it names an entry before it"
            elif number - 1 in self.texts:
                before = files.sha256_of_text(self.texts[number - 1])
                if readable[number]["previous"] != before:
                    yield (
                        f"entry {number - 1} was altered: its sha256 is {before[:12]}, "
                        f"entry {number} has {readable[number]['previous'][:12]}"
                    )

    def _wrong_head(self) -> Iterator[str]:
        if self.is_headed():
            return
        if self.head is None:
            yield f"the registered model has lost its tag {HEAD}"
            return
        number, _, sha256 = self.head.partition(" ")
        text = self._text_of(number)
        if text is None:
            yield (
                f"the log was cut: the registered model's tag {HEAD} names entry {number:.20}, the "
                f"log has {len(self.texts)}"
            )
        else:
            yield (
                f"entry {number} was altered: its sha256 is {files.sha256_of_text(text)[:12]}, the "
                f"registered model's tag {HEAD} has {sha256[:12]}"
            )

    def _unreadable_claims(self) -> Iterator[str]:
        for key in sorted(self.params):
            if key.startswith(CLAIM) and key.removeprefix(CLAIM) not in self.claims:
                yield f"the parameter {key} is no claim that downstream has made"

    def _strayed_aliases(self) -> Iterator[str]:
        logged = self.logged_aliases()
        for alias in sorted({*logged, *self.aliases}):
            now, then = self.aliases.get(alias, "none"), logged.get(alias, "none")
            if now != then:
                yield f"{alias} is on version {now}, the log has left it on version {then}"


def read_log(client: MlflowClient, model: str) -> AuditLog:
    """Read log, claims and aliases; all are empty where there is no such registered model."""
    registered = _find_registered(client, model)
    # The head is read first: an entry that is appended meanwhile must not look as if it were cut.
    head = registered.tags.get(HEAD) if registered is not None else None
    run = find_run(client, model)
    # Last, so that an alias which downstream moves meanwhile has an entry after those read here:
    # whoever takes the difference for a change made by hand is refused as too late.
    aliases = aliases_of(client, model)
    if run is None and aliases:
        run = find_run(client, model)  # downstream makes it before it sets the first alias
    return AuditLog(
        model=model,
        run_id=run.info.run_id if run is not None else None,
        head=head,
        params=run.data.params if run is not None else {},
        aliases=aliases,
    )


def aliases_of(client: MlflowClient, model: str) -> dict[str, int]:
    """Return the version that each alias is on; none if there is no such model."""
    registered = _find_registered(client, model)
    aliases = registered.aliases if registered is not None else {}
    return {alias: int(number) for alias, number in sorted(aliases.items())}


def require_registered(client: MlflowClient, model: str) -> None:
    """Check that there is a registered model.

    Raises:
        BadInput: there is none of that name; the message lists those there are.
    """
    if _find_registered(client, model) is None:
        known = [registered.name for registered in client.search_registered_models()]
        raise BadInput(f"{model}: no such registered model; {one_of(model, known)}")


def canonical(value: Mapping[str, Any]) -> str:
    """Return the one JSON text that equal values share."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A command line that is not UTF-8 gives lone surrogates, which no database takes.
    return text.encode(errors="replace").decode()


def _intent(text: str) -> dict[str, Any] | None:
    try:
        intent = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return intent if isinstance(intent, dict) else None


def _parse(number: int, text: str) -> Entry | None:
    """Return an entry; None if the text is none, or not that of this number."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.keys() != _KINDS.keys():
        return None
    if not all(type(entry[name]) in kinds for name, kinds in _KINDS.items()):
        return None
    if not all(isinstance(value, str) for value in entry["evidence"].values()):
        return None
    return Entry(**entry) if entry["number"] == number else None  # type: ignore[typeddict-item]


def _find_registered(client: MlflowClient, model: str) -> RegisteredModel | None:
    registered = client.search_registered_models(f"name = '{model}'", max_results=1)
    return registered[0] if registered else None
