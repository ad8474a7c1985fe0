"""What has happened to a registered model's aliases, and whether the record of it holds."""

from dataclasses import dataclass

from tasks.promotion.connection import connected
from tasks.tracking.audit.aliases import settle
from tasks.tracking.audit.log import Entry, require_registered


@dataclass(frozen=True)
class History:
    """The audit log of a model.

    Attributes:
        entries: oldest first.
        problems: what is wrong with the log, one line each.
        aliases: where they are now.
    """

    model: str
    entries: list[Entry]
    problems: list[str]
    aliases: dict[str, int]


def history(model: str) -> History:
    """Return a model's history; changes that were made by hand are recorded first.

    Raises:
        BadInput: there is no such registered model.
        Unreachable: the store is away.
    """
    with connected() as client:
        require_registered(client, model)
        log = settle(client, model)
    return History(model, log.entries, log.problems(), dict(log.aliases))
