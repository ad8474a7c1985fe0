"""Results that a stage has finished and ``dvc.lock`` does not have yet, beside its checkpoints.

DVC deletes an output that was finished but not recorded when its run was killed, and runs the stage
again. So a stage keeps its result here before it puts it into ``data/``, and the next process with
the same stage hash takes it over, whoever starts it. Files are hard links: they cost nothing.

    .downstream/finished/<stage>@<row>/<stage hash>/{output/, record.json}
    .downstream/checkpoints/<stage>@<row>/<stage hash>/

What is in either folder belongs to whoever holds the stage's work lock.
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import Timeout

from tasks.contracts import files, paths
from tasks.machine.locks import file_lock
from tasks.progress import say

FINISHED = paths.STATE / "finished"
CHECKPOINTS = paths.STATE / "checkpoints"
LOCKS = paths.STATE / "locks"
KEPT_PER_STAGE = 3
"""Of results and checkpoints of other inputs (a parameter that may come back), the newest."""


def work_lock(name: str) -> Path:
    """Return the lock file that the process of ``<stage>@<row>`` holds."""
    return LOCKS / f"{name}.lock"


def checkpoint_folder(name: str, stage_hash: str) -> Path:
    """Return where a training with these inputs keeps its checkpoints."""
    return CHECKPOINTS / name / stage_hash


def keep(name: str, stage_hash: str, output: Path, record: dict[str, Any]) -> None:
    """Keep a finished result until ``dvc.lock`` has it; it is there as a whole or not at all.

    Args:
        name: the stage, ``<stage>@<row>``.
        stage_hash: what the result was made from.
        output: its folder, which may be moved away afterwards.
        record: what else belongs to it; plain JSON.
    """
    final = FINISHED / name / stage_hash
    try:
        with files.new_folder(final) as partial:
            shutil.copytree(output, partial / "output", copy_function=files.link_or_copy)
            record = {**record, "files": _stamps(partial / "output")}
            files.write_text(partial / "record.json", json.dumps(record, default=float))
            _write_through(partial)
    except OSError as error:
        # A full disk must not cost the result itself.
        say(f"warning: {name}: its result could not be kept aside in {final}: {error.strerror}")


def take(name: str, stage_hash: str, output: Path) -> dict[str, Any] | None:
    """Put the kept result for these inputs in the place of the folder ``output``.

    Args:
        name: the stage, ``<stage>@<row>``.
        stage_hash: what the result was made from.
        output: the folder that it replaces.

    Returns:
        What was kept with it; None where there is no whole result.
    """
    kept = FINISHED / name / stage_hash
    try:
        record: dict[str, Any] = json.loads((kept / "record.json").read_text(encoding="utf-8"))
        whole = record.pop("files") == _stamps(kept / "output")
    except (OSError, ValueError, KeyError):
        return None
    if not whole:
        return None
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(kept / "output", output, copy_function=files.link_or_copy)
    return record


def set_aside(name: str, undeclared: Iterable[str]) -> str:
    """Return what is said of a result that read something which no identity names.

    Args:
        name: the stage.
        undeclared: modules and files.
    """
    return (
        f"{name}: its result is kept aside and not recorded: it has read {', '.join(undeclared)}, "
        "which neither dvc.yaml nor its code fingerprint names: declare it and run again, or "
        f"`downstream accept {name} --reason` that it does not matter, then `downstream run`"
    )


def all_undeclared(name: str) -> dict[str, list[str]]:
    """Return, by stage hash, what the results that are kept aside have read."""
    found = {}
    for path in sorted((FINISHED / name).glob("[!.]*/record.json")):
        try:
            undeclared = files.read_json(path).get("undeclared")
        except (OSError, ValueError, AttributeError):
            continue
        if undeclared:
            found[path.parent.name] = list(undeclared)
    return found


def clear_undeclared(name: str, stage_hash: str) -> None:
    """Let a kept result be taken over whatever it has read."""
    path = FINISHED / name / stage_hash / "record.json"
    record = files.read_json(path)
    record["undeclared"] = []
    files.write_text(path, json.dumps(record, default=float))


def has(name: str, stage_hash: str) -> bool:
    """Tell whether a result for these inputs is kept."""
    return (FINISHED / name / stage_hash / "record.json").is_file()


def discard(name: str, stage_hash: str) -> None:
    """Remove the result and the checkpoints for these inputs: ``dvc.lock`` has them."""
    for room in (FINISHED, CHECKPOINTS):
        shutil.rmtree(room / name / stage_hash, ignore_errors=True)
        _remove_empty(room / name)


def sweep(name: str, recorded: str | None, current: str | None = None) -> None:
    """Remove what is not needed any more; the caller holds the stage's work lock.

    Args:
        name: the stage.
        recorded: the stage hash that ``dvc.lock`` and DVC's cache have a result for.
        current: the stage hash that is about to run; what it left is kept in any case.
    """
    if recorded:
        discard(name, recorded)
    for room in (FINISHED, CHECKPOINTS):
        folders = sorted((room / name).glob("*"), key=_age)
        torn = [folder for folder in folders if folder.name.startswith(".")]
        others = [folder for folder in folders if folder not in torn and folder.name != current]
        for folder in [*torn, *others[KEPT_PER_STAGE:]]:
            shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(room / name)


def names() -> list[str]:
    """Return the stages of which a result or checkpoints are kept."""
    return sorted({path.name for room in (FINISHED, CHECKPOINTS) for path in room.glob("*@*")})


def forget(stages: Iterable[str]) -> None:
    """Remove all that is kept of stages that are to start from nothing; running ones are left."""
    for name in stages:
        if (FINISHED / name).exists() or (CHECKPOINTS / name).exists():
            try:
                with file_lock(work_lock(name), timeout=0):
                    for room in (FINISHED, CHECKPOINTS):
                        shutil.rmtree(room / name, ignore_errors=True)
            except Timeout:
                continue


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Return size and time of change of every file, by which a torn or edited one is found."""
    stamps = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            stamps[path.relative_to(folder).as_posix()] = [status.st_size, status.st_mtime_ns]
    return stamps


def _write_through(folder: Path) -> None:
    """Have the files on the disk before the name that says they are whole (power loss)."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # it holds something, or is gone already
