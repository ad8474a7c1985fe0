"""One line of the audit log: what it holds, and its one text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

BEFORE_THE_FIRST = "0" * 64
"""What stands in the first entry for the sha256 of the one before."""


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


@dataclass(frozen=True)
class Change:
    """What is to be written."""

    action: str
    alias: str | None = None
    version_from: int | None = None
    version_to: int | None = None
    reason: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    actor: str | None = None


def canonical(value: Mapping[str, Any]) -> str:
    """Return the one JSON text that equal values share."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A command line that is not UTF-8 gives lone surrogates, which no database takes.
    return text.encode(errors="replace").decode()


def parse(number: int, text: str) -> Entry | None:
    """Return an entry; None if the text is none, or not that of this number."""
    try:
        entry = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or set(entry) != set(Entry.__annotations__):
        return None
    return Entry(**entry) if entry["number"] == number else None  # type: ignore[typeddict-item]
