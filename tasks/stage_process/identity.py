"""What a result was really made from, kept by its stage hash; and records that say otherwise.

DVC hashes inputs again when a command has ended. An input file that is edited in the last second of
a ``dvc repro`` is recorded as it is then, in ``dvc.lock`` and in the run cache, for a result that
was made with what it held before. (Of parameters the code fingerprint tells it, see
``tasks.fingerprint.rows``.) It cannot be prevented from inside the stage; so a stage writes what it
started from beside the hashes of what it made:

    .downstream/identities/<stage>@<row>/<stage hash>.json

A record is wrong if it has the outputs of such an identity, but other inputs; if no stage was ever
run with those here; and if the identity itself was never recorded, for then the run cache would
have it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.contracts import files, paths
from tasks.contracts.lock import hashes, makers_of, md5_of, md5_of_text, read_lock
from tasks.errors import BadInput
from tasks.fingerprint.rows import ROW_LINE
from tasks.stage_process import snapshot
from tasks.stage_process.stage_hash import Inputs, entry_hash, results_of

IDENTITIES = paths.STATE / "identities"
SETTINGS = "settings.json"
"""The output of a stage that says what it was made with."""
KEPT_PER_STAGE = 5
"""The newest; a wrong record is made right after the identity that it contradicts."""


@dataclass(frozen=True)
class Fault:
    """An input that ``dvc.lock`` has otherwise than it was when the result was made."""

    kind: Literal["param", "data"]
    what: str
    made_with: Any
    recorded: Any


def keep_identity(name: str, inputs: Inputs, code: str) -> None:
    """Keep what a stage started from and what it made, which lies in ``data/`` by now.

    Args:
        name: the stage, ``<stage>@<row>``.
        inputs: what it depends on, as it was at its start.
        code: its code fingerprint.
    """
    folder = snapshot.current()
    record = {
        "params": inputs.params,
        "files": inputs.files,
        "code": files.sha256_of_text(code),
        "snapshot": folder.name if folder else None,
        "outputs": {path: md5_of(Path(path)) for path in inputs.outputs},
    }
    kept = IDENTITIES / name / f"{inputs.stage_hash}.json"
    files.write_text(kept, json.dumps(record, default=str))
    for old in sorted(kept.parent.glob("*.json"), key=_age)[KEPT_PER_STAGE:]:
        old.unlink(missing_ok=True)


def carry_identity(name: str, old_hash: str, new_hash: str) -> None:
    """Let a result that was accepted under new code keep what it was made from.

    Args:
        name: the stage.
        old_hash: the stage hash that it was made under.
        new_hash: the one that it has now.
    """
    kept = IDENTITIES / name / f"{old_hash}.json"
    if kept.is_file():
        files.write_text(kept.with_stem(new_hash), kept.read_text(encoding="utf-8"))


def snapshot_of(name: str, stage_hash: str) -> str | None:
    """Return the name of the snapshot that a result was made with, where that is known."""
    try:
        found = files.read_json(IDENTITIES / name / f"{stage_hash}.json")["snapshot"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def wrongly_recorded(name: str, entry: Mapping[str, Any], run_cache: Path) -> list[Fault]:
    """Return the inputs that a record has otherwise than its result was made with.

    Args:
        name: the stage.
        entry: what ``dvc.lock`` has of it.
        run_cache: DVC's folder with one of its own for each stage hash that was ever recorded.
    """
    return [*_of_fingerprint(name, entry), *_of_identities(name, entry, run_cache)]


def _of_fingerprint(name: str, entry: Mapping[str, Any]) -> list[Fault]:
    """Compare the recorded parameters with the fingerprint, where it lies there still."""
    path = paths.code(*name.split("@", 1))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if hashes(entry, "deps").get(path.as_posix()) != md5_of_text(text):
        return []
    start = f"{ROW_LINE} "
    line = next((line for line in text.splitlines() if line.startswith(start)), f"{start}{{}}")
    recorded = _params(entry)
    return [
        Fault("param", key, value, recorded[key])
        for key, value in json.loads(line.removeprefix(start)).items()
        if key in recorded and recorded[key] != value
    ]


def against_settings(entry: Mapping[str, Any]) -> list[Fault]:
    """Compare a record's parameters with the ``settings.json`` that lies there as it records it.

    An earlier version kept no identities, but wrote its seed and the rows that it used.
    """
    written = [path for path in hashes(entry, "outs") if Path(path).name == SETTINGS]
    return [
        Fault("param", key, made[name], recorded)
        for made in map(files.read_json, map(Path, written))
        for key, recorded in _params(entry).items()
        if (name := key.rpartition(".")[2]) in made and made[name] != recorded
    ]


def _of_identities(name: str, entry: Mapping[str, Any], run_cache: Path) -> list[Fault]:
    folder = IDENTITIES / name
    if not folder.is_dir() or not run_cache.is_dir() or (folder / _file(entry)).exists():
        return []
    outputs = hashes(entry, "outs")
    for kept in sorted(folder.glob("*.json"), key=_age):
        known = kept.stem
        if results_of(run_cache, known).is_dir():
            continue
        try:
            identity = files.read_json(kept)
            if identity["outputs"] == outputs:
                return _differences(name, identity["files"], hashes(entry, "deps"))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a torn one says nothing
    return []


def _differences(name: str, then: Mapping[str, str], recorded: Mapping[str, str]) -> list[Fault]:
    # Other code for the same result is what `downstream accept` records.
    code = paths.code(*name.split("@", 1)).as_posix()
    return [
        Fault("data", path, then[path], recorded[path])
        for path in sorted({*then} & {*recorded} - {code})
        if then[path] != recorded[path]
    ]


def require_right_records(inputs: Inputs) -> None:
    """Check the records of all stages that some inputs come from, directly or not.

    Args:
        inputs: what a stage is about to read.

    Raises:
        BadInput: one was recorded with other inputs than it was made with.
    """
    lock = read_lock()
    makers = makers_of(lock)
    waiting, checked = list(inputs.files), set()
    while waiting:
        name = makers.get(waiting.pop())
        if name is None or name in checked:
            continue
        checked.add(name)
        waiting += hashes(lock[name], "deps")
        faults = wrongly_recorded(name, lock[name], inputs.run_cache)
        if faults:
            raise BadInput(
                f"{name}: recorded in dvc.lock with {', '.join(fault.what for fault in faults)} as "
                "edited in its last second, but made with what was there before: `downstream run` "
                "runs it again"
            )


def _file(entry: Mapping[str, Any]) -> str:
    return f"{entry_hash(entry)}.json"


def _params(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value for of_file in entry.get("params", {}).values() for key, value in of_file.items()
    }


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
