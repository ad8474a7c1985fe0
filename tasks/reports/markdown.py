"""The little Markdown that a model card needs."""

from collections.abc import Sequence

_SPECIAL = "\\`*_{}[]<>#|$~&"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return text of unknown origin as Markdown that shows it as it is, in a table too."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in plain)
