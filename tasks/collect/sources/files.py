"""Local files: what lies in ``data/sources/<corpus>/``."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Piece, Record, SourceContext
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.collect.sources._selection import Selection, select
from tasks.errors import BadInput
from tasks.remote.members import Member, in_folder

LARGE_BYTES = 2**20
"""Smaller files are read as fast as what would be kept of them."""


class Settings(FileSettings):
    """Local tables, texts and mail (also gzipped or zipped), and folders of images."""

    kind: Literal["files"] = "files"
    path: Selection = Field(
        "**/*",
        description="glob within data/sources/<corpus>/, several, or those of each official split",
    )


def identities(settings: Settings) -> list[str]:  # noqa: ARG001 - an entry's signature
    """Return no names: DVC hashes local files itself."""
    return []


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - an entry's signature
    """Return no pins."""
    return {}


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:
    """Yield the records of all files that are chosen, sorted by path."""
    for piece in pieces(settings, context):
        yield from piece.read()


def pieces(settings: Settings, context: SourceContext) -> Iterator[Piece]:
    """Yield the files, sorted by path; those that it takes long to read can be told apart."""
    for member, split in select(in_folder(context.folder), settings.path, str(context.folder)):
        name = f"files:{member.name}"
        read_all = partial(read_member, member, split, settings, name)
        if member.num_bytes >= LARGE_BYTES and context.keeps_pieces:
            digest = _sha256(member)
            unchanged = partial(_unchanged, member, digest, read_all, name)
            yield Piece(unchanged, f"{name} {split} {digest}")
        else:
            yield Piece(read_all)


def _unchanged(
    member: Member, digest: str, read_all: Callable[[], Iterator[Record]], name: str
) -> Iterator[Record]:
    """Yield a file's records; raise BadInput if they need not be those of the bytes it had."""
    yield from read_all()
    if _sha256(member) != digest:
        raise BadInput(f"{name} changed while it was read: run again")


def _sha256(member: Member) -> str:
    digest = hashlib.sha256()
    with member.packed() as file:
        while chunk := file.read(LARGE_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
