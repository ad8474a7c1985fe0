"""One link of a version's lineage."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """What a stage, or the version itself, rests on, and whether it is what was recorded."""

    stage: str
    what: str
    """A file or folder, or what a tag speaks of."""
    recorded: str
    """Its hash as it was recorded."""
    problem: str = ""
    """Why it does not hold; empty where it does."""
    note: str = ""
