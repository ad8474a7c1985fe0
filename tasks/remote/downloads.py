"""What was downloaded is kept by its sha256, and checked against its pin before it is opened.

``pin.json`` holds the exact revision and sha256 of what ``params.yaml`` only names.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.contracts.files import read_json, replace_folder, sha256, sha256_of_folder
from tasks.contracts.paths import STATE
from tasks.errors import BadInput

DOWNLOADS = STATE / "downloads"

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
        pins = read_json(path)
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON ({error}): restore it, or run `downstream refresh "
            f"{path.parent.name}`"
        ) from None
    if not isinstance(pins, dict) or not all(isinstance(pin, dict) for pin in pins.values()):
        raise BadInput(
            f"{path}: expected pins by source: run `downstream refresh {path.parent.name}`"
        )
    return pins


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
    return downloads / str(pin["sha256"]) / Path(str(pin["file"])).name


def pinned(downloads: Path, identity: str, pin: dict[str, Any], fetch: Fetch) -> Path:
    """Return the pinned file; a kept one that still has its sha256 needs no network.

    Args:
        downloads: the folder of all downloads.
        identity: what the settings ask for, for the error.
        pin: ``file``, its name, and ``sha256``.
        fetch: downloads it.

    Raises:
        BadInput: what was downloaded has another sha256.
    """
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
        BadInput: what was downloaded has another sha256.
    """
    folder = downloads / str(pin["sha256"])
    if folder.is_dir() and sha256_of_folder(folder) == pin["sha256"]:
        return folder
    digest = kept_folder(downloads, fetch)
    if digest != pin["sha256"]:
        raise BadInput(
            f"{identity}: expected sha256 {pin['sha256']} (pin.json), downloaded {digest}: it was "
            "not opened; if the change is wanted, `downstream refresh`"
        )
    return folder
