"""Globs that choose files, and the official split they stand for."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator

from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput, one_of
from tasks.remote.members import Member


def _check(value: Any) -> Any:
    choices = value.values() if isinstance(value, dict) else [value]
    if isinstance(value, dict) and (not value or not set(value) <= set(PARTS)):
        raise ValueError(
            f"expected the splits {', '.join(PARTS)} as keys; files without an official split are "
            "a plain glob, for example members: '**/*.csv'"
        )
    for choice in choices:
        globs = choice if isinstance(choice, list) else [choice]
        if not globs or not all(isinstance(glob, str) and glob for glob in globs):
            raise ValueError(
                "expected a text, a list of texts, or a mapping of train, validation, test to them"
            )
    return value


# How many files an error lists.
_LISTED = 20

# One glob, several, or those of each official split. Checked by hand: a union of types would
# report one fault for each of its members.
Selection = Annotated[
    str | list[str] | dict[Part, str | list[str]],
    BeforeValidator(_check),
]


def by_split(selection: Selection) -> list[tuple[Part | None, str]]:
    """Return each glob with the official split that it stands for."""
    mapping = selection if isinstance(selection, dict) else {None: selection}
    return [
        (split, glob)
        for split, globs in mapping.items()
        for glob in ([globs] if isinstance(globs, str) else globs)
    ]


def select(
    members: Iterable[Member], selection: Selection, where: str
) -> Iterator[tuple[Member, Part | None]]:
    """Yield the members that a glob matches, in the given order, with their official split.

    A glob that matches an archive chooses everything inside it.

    Args:
        members: the files of a source.
        selection: the globs.
        where: the source, for messages.

    Raises:
        BadInput: a glob matches nothing, or a file belongs to two splits.
    """
    globs = by_split(selection)
    unused = {glob for _, glob in globs}
    seen = []
    for member in members:
        seen.append(member.name)
        hits = [(split, glob) for split, glob in globs if _chooses(glob, member)]
        unused -= {glob for _, glob in hits}
        if len({split for split, _ in hits}) > 1:
            raise BadInput(
                f"{where}: {member.name} is matched by two splits "
                f"({' and '.join(str(split) for split, _ in hits)}): narrow their globs"
            )
        if hits:
            yield member, hits[0][0]
    if unused:
        wanted = sorted(unused)[0]
        raise BadInput(
            f"{where}: no file matches {wanted!r}; "
            + (one_of(wanted, seen[:_LISTED]) if seen else "it holds no files")
        )


def _chooses(glob: str, member: Member) -> bool:
    pattern = PurePosixPath(glob).parts
    if matches(member.parts, pattern):
        return True
    return bool(member.archive) and matches(member.archive, pattern)


def matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether a path fits a glob: ``*`` stays within a folder, ``**`` crosses any number."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(matches(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])
