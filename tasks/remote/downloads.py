"""What was downloaded is kept by its sha256, and checked against its pin before it is opened.

``pin.json`` holds the exact revision and sha256 of what ``params.yaml`` only names.
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.contracts.files import replace_folder, sha256, sha256_of_folder
from tasks.contracts.paths import STATE
from tasks.errors import BadInput

DOWNLOADS = STATE / "downloads"
_LONGEST_NAME = 255

_FORMS = {
    "file": re.compile(r"[^/\0]{1,255}"),
    "sha256": re.compile("[0-9a-f]{64}"),
    "revision": re.compile("[0-9a-f]{7,64}"),
}

# Downloads one file into the folder it is given, and returns its path.
Fetch = Callable[[Path], Path]
# Downloads several files into the folder it is given.
FetchFolder = Callable[[Path], None]


def read_pins(path: Path) -> dict[str, dict[str, Any]]:
    """Return the content of a ``pin.json``; without the file, no pins.

    Raises:
        BadInput: the file is not what ``downstream refresh`` writes.
    """
    if not path.exists():
        return {}
    try:
        pins = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} is not JSON ({error}): restore it, or run `downstream refresh "
            f"{path.parent.name}`"
        ) from None
    if not isinstance(pins, dict) or not all(isinstance(pin, dict) for pin in pins.values()):
        raise BadInput(
            f"{path}: expected pins by source: run `downstream refresh {path.parent.name}`"
        )
    return pins


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands in it twice")
    return values


def part_of(pin: dict[str, Any], key: str, identity: str) -> str:
    """Return one value of a pin.

    Args:
        pin: what ``pin.json`` has for a source.
        key: ``file``, ``sha256`` or ``revision``.
        identity: what the settings ask for, for the error.

    Raises:
        BadInput: it is not there, or not what such a value looks like.
    """
    value = pin.get(key)
    if not isinstance(value, str) or not _FORMS[key].fullmatch(value) or not _is_name(value):
        raise BadInput(
            f"pin.json: {identity}: expected {key}, found {value!r:.60}: restore the file, or run "
            "`downstream refresh`"
        )
    return value


def _is_name(value: str) -> bool:
    """Tell what a file can be named: a file system counts its bytes."""
    try:
        return len(value.encode()) <= _LONGEST_NAME and value not in (".", "..")
    except UnicodeEncodeError:
        return False


def keep(downloads: Path, fetch: Fetch) -> dict[str, Any]:
    """Download a file and keep it at ``<downloads>/<sha256>/<name>``.

    Returns:
        Its pin: ``file`` (the name) and ``sha256``.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads) as folder:
        path = fetch(Path(folder))
        pin = {"file": path.name, "sha256": sha256(path)}
        final = kept(downloads, pin)
        final.parent.mkdir(exist_ok=True)
        path.replace(final)
    return pin


def kept(downloads: Path, pin: dict[str, Any]) -> Path:
    """Return where the file of a pin is kept."""
    return downloads / pin["sha256"] / pin["file"]


def pinned(downloads: Path, identity: str, pin: dict[str, Any], fetch: Fetch) -> Path:
    """Return the pinned file; a kept one that still has its sha256 needs no network.

    Args:
        downloads: the folder of all downloads.
        identity: what the settings ask for, for the error.
        pin: ``file``, its name, and ``sha256``.
        fetch: downloads it.

    Raises:
        BadInput: what was downloaded has another sha256, or the pin is none.
    """
    pin = {key: part_of(pin, key, identity) for key in ("file", "sha256")}
    path = kept(downloads, pin)
    if path.is_file() and sha256(path) == pin["sha256"]:
        return path
    new = keep(downloads, fetch)
    if new["sha256"] != pin["sha256"]:
        raise BadInput(
            f"{identity}: expected sha256 {pin['sha256']} (pin.json), downloaded {new['sha256']} "
            f"({new['file']}): it was not opened; if the change is wanted, `downstream refresh`"
        )
    return path


def kept_folder(downloads: Path, fetch: FetchFolder) -> str:
    """Download a folder and keep it at ``<downloads>/<sha256>/``; return its sha256."""
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads) as parent:
        folder = Path(parent) / "folder"
        folder.mkdir()
        fetch(folder)
        digest = sha256_of_folder(folder)
        replace_folder(folder, downloads / digest)
    return digest


def pinned_folder(downloads: Path, identity: str, pin: dict[str, Any], fetch: FetchFolder) -> Path:
    """Return the pinned folder; a kept one that still has its sha256 needs no network.

    Args:
        downloads: the folder of all downloads.
        identity: what the settings ask for, for the error.
        pin: ``sha256`` of the folder's content.
        fetch: downloads it.

    Raises:
        BadInput: what was downloaded has another sha256, or the pin is none.
    """
    expected = part_of(pin, "sha256", identity)
    folder = downloads / expected
    if folder.is_dir() and sha256_of_folder(folder) == expected:
        return folder
    digest = kept_folder(downloads, fetch)
    if digest != expected:
        raise BadInput(
            f"{identity}: expected sha256 {expected} (pin.json), downloaded {digest}: it was "
            "not opened; if the change is wanted, `downstream refresh`"
        )
    return folder
