"""``pin.json`` of a corpus with a source of each kind that has one, and of a backbone."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import mutations, sources
from benchmarks.fuzz.cases import Kind

SET = "set"


def plant(folder: Path) -> None:
    """Write what was pinned, and the pins."""
    table = sources.table("csv", sources.rows())
    digest = hashlib.sha256(table).hexdigest()
    kept = folder / ".downstream" / "downloads" / digest / "a.csv"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(table)
    identity = f"url:{sources.ADDRESS}a.csv"
    pins = {
        identity: {"file": "a.csv", "sha256": digest},
        "hub:someone/set@main": {"revision": "0" * 40},
        "hub:someone/model@main": {"revision": "0" * 40, "sha256": "0" * 64},
    }
    (folder / sources.SOURCES).mkdir(parents=True)
    (folder / sources.SOURCES / "pin.json").write_text(json.dumps(pins, indent=2))


def write(random: Random, planted: Path, folder: Path) -> None:
    """Write a workspace whose pins have changed."""
    shutil.copytree(planted, folder, dirs_exist_ok=True)
    path = folder / sources.SOURCES / "pin.json"
    if random.random() < 0.4:
        path.write_bytes(mutations.mutated_bytes(random, path.read_bytes()))
    else:
        changed = mutations.mutated(random, json.loads(path.read_text()))
        path.write_bytes(mutations.encoded(mutations.json_text(changed)))
    asked: list[dict[str, Any]] = [{"kind": "url", "urls": f"{sources.ADDRESS}a.csv"}]
    if random.random() < 0.1:
        asked.append({"kind": "hub", "id": "someone/set"})
    (folder / sources.SETTINGS).write_text(json.dumps({"sources": asked}))


def prepare(planted: Path) -> None:
    """Import what is used."""
    import tasks.pretrain.init
    import tasks.pretrain.settings  # noqa: F401

    sources.prepare(planted)


def attempt() -> None:
    """Read the pins as a training does that starts from a checkpoint, and as collect does."""
    from tasks.errors import DownstreamError
    from tasks.pretrain.init import checkpoint_folder
    from tasks.pretrain.settings import HubInit

    try:
        checkpoint_folder(sources.CORPUS, HubInit(hub="someone/model"), Path("unpacked"))
    except DownstreamError as error:
        if len(str(error).splitlines()) > 1:
            raise
    sources.attempt()


PINS = Kind("pins", 15, plant, prepare, write, attempt)
