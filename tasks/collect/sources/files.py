"""Local files: what lies in ``data/sources/<corpus>/``."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.collect.sources._selection import Selection, select
from tasks.remote.members import in_folder


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
    for member, split in select(in_folder(context.folder), settings.path, str(context.folder)):
        yield from read_member(member, split, settings, f"files:{member.name}")
