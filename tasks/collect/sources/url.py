"""Files on the web, of the formats that local files may have."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, model_validator

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._columns import TableSettings
from tasks.collect.sources._formats import read_member
from tasks.collect.sources._selection import Selection, by_split, select
from tasks.contracts.paths import Part
from tasks.errors import BadInput, Unreachable
from tasks.remote.downloads import keep, pinned
from tasks.remote.members import Member, in_archive, of_file

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = (10, 60)
_ATTEMPTS = 4


class Settings(TableSettings):
    """Files that are downloaded over http or https."""

    kind: Literal["url"] = "url"
    urls: Selection = Field(description="address, several, or those of each official split")
    members: str = Field("**/*", min_length=1, description="glob within an address that is a zip")
    maximum_megabytes: int = Field(4096, gt=0, description="the largest download, in MiB")

    @model_validator(mode="after")
    def _are_addresses(self) -> Self:
        for _, url in by_split(self.urls):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"urls: expected http:// or https://, found {url!r}")
            if parts.password or parts.username:
                raise ValueError("urls: an address holds no password: put it into ~/.netrc")
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
    import requests
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    path = folder / (unquote(urlsplit(url).path).rsplit("/", 1)[-1] or "download")
    retrying = Retrying(
        retry=retry_if_exception_type(requests.RequestException),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    try:
        retrying(_stream, url, path, settings.maximum_megabytes * 2**20)
    except requests.RequestException as error:
        raise Unreachable(
            f"{url} does not answer ({type(error).__name__}, {_ATTEMPTS} attempts): try again later"
        ) from None
    return path


def _stream(url: str, path: Path, maximum_bytes: int) -> None:
    import requests

    # Without this a server may pack a file for the way, and the sha256 would depend on it.
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS, headers=headers) as answer:
        if 400 <= answer.status_code < 500:
            raise BadInput(f"{url} answers {answer.status_code} {answer.reason}: check the address")
        answer.raise_for_status()
        num_bytes = 0
        with path.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                num_bytes += len(chunk)
                if num_bytes > maximum_bytes:
                    raise BadInput(
                        f"{url} is larger than {maximum_bytes:,} bytes: raise maximum_megabytes"
                    )
                file.write(chunk)
