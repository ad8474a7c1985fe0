"""The audit log of a registered model, as it was read at one moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.tracking.audit.entry import Entry, parse
from tasks.tracking.audit.run import find_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

HEAD = "downstream.audit_head"
FOUND = "found"
"""The action of a change that was not made by downstream."""
APPLIED = "applied."
NUMBER = re.compile(r"[0-9]{6}")


@dataclass(frozen=True)
class Log:
    """The log as it was read.

    Attributes:
        run_id: the run that holds it; None before the first entry.
        head: the tag of the registered model, read before the entries; None where there is none.
        texts: the entries' texts by number.
        entries: those that can be read, in order.
        applied: the numbers of the entries whose alias was set.
    """

    model: str
    run_id: str | None
    head: str | None
    texts: dict[int, str]
    entries: list[Entry]
    applied: frozenset[int]

    @property
    def last_number(self) -> int:
        """Return the newest entry's number; 0 in an empty log."""
        return max(self.texts, default=0)

    def last(self, alias: str) -> Entry | None:
        """Return the newest entry about an alias."""
        return next((entry for entry in reversed(self.entries) if entry["alias"] == alias), None)

    def aliases(self) -> dict[str, int]:
        """Return where the entries leave each alias."""
        last = {entry["alias"]: entry["version_to"] for entry in self.entries}
        return {alias: number for alias, number in last.items() if alias and number is not None}

    def is_applied(self, entry: Entry) -> bool:
        """Tell whether an entry's alias was set; what was found is always so."""
        return entry["action"] == FOUND or entry["number"] in self.applied

    def is_headed(self) -> bool:
        """Tell whether the head is that of an entry of this log, be it not the newest.

        The head is written after the entry, so it may lag; that of the first may be missing.
        """
        if self.head is None:
            return self.last_number <= 1
        number, _, sha256 = self.head.partition(" ")
        text = self.texts.get(int(number)) if number.isdigit() else None
        return text is not None and files.sha256_of_text(text) == sha256


def load(client: MlflowClient, model: str) -> Log:
    """Read the log."""
    registered = find_registered(client, model)
    # The head is read first: an entry that is appended meanwhile must not look as if it were cut.
    head = registered.tags.get(HEAD) if registered is not None else None
    run = find_run(client, model)
    params = run.data.params if run is not None else {}
    texts = {int(key): params[key] for key in sorted(params) if NUMBER.fullmatch(key)}
    parsed = (parse(number, text) for number, text in texts.items())
    applied = (key.removeprefix(APPLIED) for key in params if key.startswith(APPLIED))
    return Log(
        model=model,
        run_id=run.info.run_id if run is not None else None,
        head=head,
        texts=texts,
        entries=[entry for entry in parsed if entry is not None],
        applied=frozenset(int(number) for number in applied),
    )


def find_registered(client: MlflowClient, model: str) -> Any:
    """Return MLflow's registered model; None if there is none of that name."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
