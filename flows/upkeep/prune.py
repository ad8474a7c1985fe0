"""``downstream clean``: what belongs to rows that are gone, and what nobody needs any more.

Never removed: sources, a result or checkpoint of a row that still exists unless ``dvc.lock`` has
it, what a running process holds, device locks, and records that wait for MLflow. Objects in DVC's
cache are DVC's own: ``dvc gc`` removes those.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from flows.dvc.contents import recorded_text
from flows.dvc.graph import CODE, Graph
from flows.dvc.internals import dvc_errors, run_cache_folder
from flows.dvc.lockfile import TORN, drop_entries
from flows.plan.plan import leftovers
from tasks.contracts import paths
from tasks.contracts.params import STAGES
from tasks.fingerprint import definitions, libraries
from tasks.machine.locks import file_lock
from tasks.progress import say
from tasks.stage_process import kept_results, snapshot
from tasks.stage_process.identity import IDENTITIES, snapshot_of
from tasks.stage_process.stage_hash import entry_hash

BY_STAGE = ("work", "durations", "failures", "executed", "probes", "shards")
"""Rooms of ``.downstream`` with one folder ``<stage>@<row>``, or one file ``….json``, a stage."""
BY_CORPUS = ("validate", "docs", "labels")
"""Rooms of ``.downstream`` with one folder, or one file, a corpus."""
SNAPSHOTS_KEPT = 5
"""Of copies of the code, those that were used last: a running stage has one of them."""


@dataclass(frozen=True)
class Removal:
    """Something to remove."""

    path: Path
    why: str
    num_bytes: int
    stage: str | None = None
    """Whose work lock has to be free for it."""


def find_lock_entries(graph: Graph) -> list[str]:
    """Return the stages in ``dvc.lock`` whose row is gone."""
    return leftovers(graph).lock


def find_removals(graph: Graph) -> list[Removal]:
    """Return the files and folders that can go, each once."""
    removals: dict[Path, Removal] = {}
    for path, why, stage in [*_of_gone_rows(graph), *_not_needed(graph)]:
        removals.setdefault(path, Removal(path, why, size_of(path), stage))
    return list(removals.values())


def remove(graph: Graph, removals: Iterable[Removal]) -> list[Removal]:
    """Remove lock entries of gone rows, and what ``find_removals`` found.

    Returns:
        What was removed; what a running process holds is left, and said.
    """
    with dvc_errors(), graph.repo.lock:
        drop_entries(find_lock_entries(graph))
    return [removal for removal in removals if _remove_one(removal)]


def _remove_one(removal: Removal) -> bool:
    with ExitStack() as held:
        if removal.stage and kept_results.work_lock(removal.stage).exists():
            try:
                held.enter_context(file_lock(kept_results.work_lock(removal.stage), timeout=0))
            except Timeout:
                say(f"{removal.path}: left, since {removal.stage} is running")
                return False
        if removal.path.is_dir():
            shutil.rmtree(removal.path, ignore_errors=True)
        else:
            removal.path.unlink(missing_ok=True)
    return True


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


Candidate = tuple[Path, str, str | None]
"""A path, why it can go, and the stage whose work lock has to be free for it."""


def _of_gone_rows(graph: Graph) -> Iterator[Candidate]:
    gone = "its row is gone from params.yaml"
    for output in map(Path, leftovers(graph).data):
        row = output.name
        makers = [f"{s}@{row}" for s in STAGES if paths.stage_output(s, row) == output]
        at_work = (name for name in makers if kept_results.work_lock(name).exists())
        yield output, gone, next(at_work, makers[0])
    for name, path in _kept_by_stage():
        if name not in graph.stages and name != CODE:
            yield path, gone, name
    corpora = {name.partition("@")[2] for name in graph.stages if name.startswith("split@")}
    for room in BY_CORPUS:
        for path in sorted((paths.STATE / room).glob("*")):
            if path.stem not in corpora:
                yield path, gone, f"validate@{path.stem}"
    for lock in sorted(kept_results.LOCKS.glob("*@*.lock")):
        if lock.stem not in graph.stages:
            yield lock, gone, lock.stem


def _kept_by_stage() -> Iterator[tuple[str, Path]]:
    rooms = [paths.STATE / room for room in BY_STAGE]
    rooms += [kept_results.FINISHED, kept_results.CHECKPOINTS, libraries.LIBRARIES, IDENTITIES]
    for room in rooms:
        for path in sorted(room.glob("*@*")):
            yield path.name.removesuffix(".json"), path


def _not_needed(graph: Graph) -> Iterator[Candidate]:
    recorded = {name: entry_hash(entry) for name, entry in graph.lock.items()}
    for name, known in recorded.items():
        for room in (kept_results.FINISHED, kept_results.CHECKPOINTS):
            if (room / name / known).is_dir():
                yield room / name / known, "dvc.lock has its result", name
    for folder in sorted((paths.STATE / "work").glob("*@*")):
        yield folder, "left by a process that has ended", folder.name
    for kept in sorted(libraries.LIBRARIES.glob("*@*/*.json")):
        name, known = kept.parent.name, kept.stem
        in_run_cache = run_cache_folder(graph.repo, known).is_dir()
        if known != recorded.get(name) and not in_run_cache:
            yield kept, "of a result that is nowhere any more", name
    yield from (
        (path, "of code that no result was made with", None) for path in _definitions(graph)
    )
    named = {snapshot_of(name, known) for name, known in recorded.items()}
    for folder in snapshot.by_last_use(Path())[SNAPSHOTS_KEPT:]:
        if folder.name not in named:
            yield folder, "a copy of code that no recorded result was made with", None
    if TORN.is_dir():
        yield TORN, "of a dvc.lock that was rebuilt", None


def _definitions(graph: Graph) -> Iterator[Path]:
    """Yield the kept definitions of modules that no recorded fingerprint names."""
    kept = sorted(definitions.DEFINITIONS.glob("*.json"))
    if not kept:
        return
    needed: set[str] = set()
    for stage in graph.stages.values():
        for path, md5 in stage.record.dependencies.items() if stage.record else ():
            if Path(path).is_relative_to(paths.DATA / CODE):
                text = recorded_text(graph.repo, path, md5) or ""
                needed |= {line.rpartition(" ")[2] for line in text.splitlines()}
    yield from (path for path in kept if path.stem not in needed)
