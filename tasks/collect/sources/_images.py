"""Image files: one record each, its folder being its class."""

from collections.abc import Iterator

from tasks.collect.sources._columns import Row
from tasks.contracts.images import MAXIMUM_BYTES, check
from tasks.contracts.paths import Part
from tasks.remote.members import Member

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
)


def rows(member: Member, split: Part | None) -> Iterator[Row]:
    """Yield the one image of a file, as found, with the name of its folder as label.

    The folder of an official split (``train/cat/1.png``) is not a class.

    Raises:
        BadInput: it cannot be decoded.
    """
    with member.open() as file:
        content = file.read(MAXIMUM_BYTES + 1)
    check(content, member.name)
    folders = class_folders(member, split)
    yield Row(content, folders[-1] if folders else None)


def class_folders(member: Member, split: Part | None) -> tuple[str, ...]:
    """Return the folders above a file, of which the last is its class."""
    folders = member.folders
    return folders[1:] if split and folders[:1] == (split,) else folders
