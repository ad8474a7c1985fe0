"""Files on the web, of the formats that local files may have."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.collect.sources._selection import Selection, by_split, select
from tasks.contracts.paths import Part
from tasks.remote.downloads import keep, pinned
from tasks.remote.members import Member, in_archive, of_file
from tasks.remote.web import check_address, download, file_name


class Settings(FileSettings):
    """Files that are downloaded over http or https."""

    kind: Literal["url"] = "url"
    urls: Selection = Field(description="address, several, or those of each official split")
    members: str = Field("**/*", min_length=1, description="glob within an address that is a zip")
    maximum_megabytes: int = Field(4096, gt=0, description="the largest download, in MiB")

    @model_validator(mode="after")
    def _are_addresses(self) -> Self:
        for _, url in by_split(self.urls):
            try:
                check_address(url)
            except ValueError as error:
                raise ValueError(f"urls: {error}") from None
        return self


def identities(settings: Settings) -> list[str]:
    """Return the name of each address' pin."""
    return [f"url:{url}" for _, url in by_split(settings.urls)]


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:
    """Download each address and return its file name and sha256."""
    return {
        f"url:{url}": keep(context.downloads, partial(_download, settings, url))
        for _, url in by_split(settings.urls)
    }


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:
    """Yield the records of each address, in the given order.

    Raises:
        BadInput: a file is not the pinned one, too large, or cannot be read.
        MissingPin: an address is not pinned.
        Unreachable: a server does not answer.
    """
    for split, url in by_split(settings.urls):
        identity = f"url:{url}"
        fetch = partial(_download, settings, url)
        path = pinned(context.downloads, identity, context.pin(identity), fetch)
        for member, _ in _members(path, url, settings):
            yield from read_member(member, split, settings, f"url:{member.name}")


def _members(path: Path, url: str, settings: Settings) -> Iterator[tuple[Member, Part | None]]:
    if path.suffix.lower() == ".zip":
        return select(in_archive(path), settings.members, url)
    return select(of_file(path, (path.name,)), "**/*", url)


def _download(settings: Settings, url: str, folder: Path) -> Path:
    path = folder / file_name(url)
    download(url, path, settings.maximum_megabytes * 2**20)
    return path
