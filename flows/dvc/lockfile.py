"""``dvc.lock``: replaced as a whole, and rebuilt where it is torn.

DVC parses and writes the whole file anew for each stage, in place: slow where there are many
stages, and torn where a kill comes in between. Here each stage's entry is written by DVC's own
serialiser and put among the others as text, which gives the same bytes; the file is then renamed
into its place. All of it is done under DVC's repository lock, except for reading.
"""

import os
import re
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

import yaml

from flows.dvc.internals import dump_into, lock_entries, lock_text, schema_fault
from tasks.contracts import files, paths
from tasks.contracts.files import Stamp, stamp
from tasks.contracts.lock import LOCK
from tasks.contracts.yaml12 import parse_yaml
from tasks.machine.git import ask_git
from tasks.progress import say

if TYPE_CHECKING:
    from dvc.stage import Stage as DvcStage

HEAD = "schema: '2.0'\nstages:\n"
ENTRY = re.compile(r"^  (?=\S)", re.MULTILINE)
KEY = re.compile(r"[\w@./-]+(?=:\n)")
COMMITTED = "HEAD:./dvc.lock"
BATCH_SECONDS = 1.0
TORN = paths.STATE / "torn"


class LockFile:
    """``dvc.lock`` of the current directory, open for records."""

    def __init__(self) -> None:
        self._path = LOCK.absolute()
        self._seen: Stamp | None = None
        self._entries: dict[str, str] | None = {}
        self._held_back: dict[str, str] = {}
        self._write_next = 0.0

    def record(self, stage: "DvcStage", may_wait: bool = False) -> bool:
        """Put a DVC stage's entry into the file, as DVC's own ``dump_stages`` would.

        Args:
            stage: the stage.
            may_wait: it may be held back until ``flush``, so that the whole file is not written
                anew for each of thousands of stages; some time each second one is let through.

        Returns:
            Whether the file has it, and all that was held back.
        """
        self._look()
        stage.repo.scm_context.track_file(str(LOCK))
        if self._entries is None:
            _dump_by_dvc(stage)
            self._seen = stamp(self._path)
            return True
        self._held_back[stage.name] = lock_text(lock_entries(stage)).removeprefix(HEAD)
        if may_wait and time.monotonic() < self._write_next:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write what was held back; the caller holds DVC's repository lock."""
        if not self._held_back:
            return
        started = time.monotonic()
        self._look()
        if self._entries is None:  # laid out by hand since
            stages = {**parse_yaml(self._path.read_text(encoding="utf-8"))["stages"]}
            held_back = parse_yaml(HEAD + "".join(self._held_back.values()))["stages"]
            files.write_text(self._path, lock_text(stages | held_back))
        else:
            self._entries |= self._held_back
            files.write_text(self._path, HEAD + "".join(self._entries.values()))
        self._held_back.clear()
        self._seen = stamp(self._path)
        # A long file takes long to write: that is a tenth of a run at most.
        ended = time.monotonic()
        self._write_next = ended + max(BATCH_SECONDS, 10 * (ended - started))

    def _look(self) -> None:
        """Read the file if somebody else has written it."""
        if self._seen != stamp(self._path):
            self._entries = (
                entries_of(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
            )
            self._seen = stamp(self._path)


def _dump_by_dvc(stage: "DvcStage") -> None:
    """Write the file by DVC itself, aside: somebody has laid it out in a way of their own."""
    aside = LOCK.with_name(f".{LOCK}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(LOCK.read_bytes())
        dump_into(aside, stage)
        aside.replace(LOCK)
    finally:
        aside.unlink(missing_ok=True)


def drop_entries(names: Collection[str]) -> None:
    """Remove the entries of some stages; the caller holds DVC's repository lock."""
    if not names or not LOCK.is_file():
        return
    text = LOCK.read_text(encoding="utf-8")
    entries = entries_of(text)
    if entries is None:  # somebody has laid it out in a way of their own
        stages = parse_yaml(text)["stages"]
        text = lock_text({name: entry for name, entry in stages.items() if name not in names})
    else:
        text = HEAD + "".join(entry for name, entry in entries.items() if name not in names)
    files.write_text(LOCK, text)


def entries_of(text: str) -> dict[str, str] | None:
    """Return the text of every entry of a lock that DVC wrote; None if it is laid out otherwise."""
    if not text.startswith(HEAD) or not text.endswith("\n"):
        return None
    body = text.removeprefix(HEAD)
    starts = [match.start() for match in ENTRY.finditer(body)]
    parts = [body[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    keys = [KEY.match(part, 2) for part in parts]
    lines = body.splitlines()
    if not all(keys) or not all(line.startswith("  ") for line in lines) or starts[:1] != [0]:
        return None
    return {key[0]: part for key, part in zip(keys, parts, strict=True) if key}


def fault_of_lock() -> str | None:
    """Say what is wrong with ``dvc.lock`` as a file; None if it is whole, or there is none."""
    try:
        text = LOCK.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8"
    return fault_of(text)


def fault_of(text: str) -> str | None:
    """Say what is wrong with a lock's text; None if DVC can read it."""
    if not text.strip():
        return "it is empty"
    if re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE):
        return "it holds the marks of a merge"
    try:
        fault = schema_fault(parse_yaml(text))
    except yaml.YAMLError as error:
        return f"it is no YAML: {' '.join(str(error).split())}"
    return f"it is cut off: {fault}" if fault else None


def rebuild() -> None:
    """Put a whole lock in the place of a torn one; the caller holds DVC's repository lock.

    It is the one of the last commit, where there is one: what is missing there or older is restored
    from DVC's run cache when its stage's turn comes.
    """
    fault = fault_of_lock()
    if fault is None:
        return
    files.write_bytes(TORN / LOCK.name, LOCK.read_bytes())
    committed = f"{ask_git('show', COMMITTED) or ''}\n"
    if fault_of(committed) is None:
        files.write_text(LOCK, committed)
        source = "the last commit and DVC's run cache"
    else:
        LOCK.unlink()
        source = "DVC's run cache"
    say(f"{LOCK} was torn ({fault}): rebuilt from {source}; the torn one is {TORN / LOCK.name}")
