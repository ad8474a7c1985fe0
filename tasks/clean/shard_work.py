"""The work on shards: done by several processes, kept on the disk, and done once.

    .downstream/shards/clean@<corpus>/<key>.<sha256>.parquet

The key is a hash of the shard, of the code and settings, and of the libraries that records go
through; the second part of the name is that of the file's bytes. It is a cache and no more: what is
absent, torn, altered or of another key is made again, a disk that takes nothing more costs time
alone, and without a folder all is done each time.
"""

import hashlib
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.clean.settings import Settings
from tasks.clean.shards import clean_shard, cut, done_schema, identity_of
from tasks.contracts import files, paths
from tasks.contracts.params import ENGINES, THREADS_VARIABLE, Engine
from tasks.errors import DownstreamError
from tasks.machine.libraries import public_version
from tasks.machine.memory import num_processes_at_most
from tasks.parent import die_with_parent

LIBRARIES = ("python", "ftfy", "numpy", "pillow", "py3langid", "pyarrow", "rensa")
"""Those whose work is in what becomes of one record; no code fingerprint tells their versions."""
SETTLED_LATER = ("label_conflicts", "rare_classes")
"""Settings that decide over all records, and nothing of one."""
_NOT_OF_ONE_RECORD = {
    "settings",
    "tasks.clean.__main__",
    "tasks.clean.rare_classes",
    "tasks.clean.report",
    "tasks.clean.settle",
    "tasks.clean.stage",
    "tasks.corpora.corrections",
}
BYTES_BEFORE_PROCESSES = 2**22
"""New records are cleaned here until they have so many bytes: to start a process takes longer."""
AHEAD = 4
"""Shards for each process that are read before the first of them is done."""
_KEY = b"downstream.key"


@dataclass(frozen=True)
class Kept:
    """Where results of shards are kept, and what they hold for."""

    folder: Path
    code: str
    """A hash of the code that makes them."""
    num_workers: int = 1
    bytes_before_processes: int = BYTES_BEFORE_PROCESSES
    engine: Engine = ENGINES[0]
    """Where new shards are cleaned: by processes of this machine, or on the nodes of Ray."""

    @classmethod
    def of(cls, corpus: str, code: str, engine: Engine = ENGINES[0]) -> "Kept":
        """Return what a corpus has in this workspace.

        Args:
            corpus: its name.
            code: a hash of the code that makes them.
            engine: where new shards are cleaned.
        """
        threads = os.environ.get(THREADS_VARIABLE)
        num_cores = max(1, int(threads) if threads else len(os.sched_getaffinity(0)))
        num_workers = num_processes_at_most(num_cores)
        folder = paths.STATE / "shards" / f"clean@{corpus}"
        return cls(folder, code, num_workers, engine=engine)


def code_of_one_record(fingerprint: str) -> str:
    """Return a hash of the code that what becomes of one record follows from.

    Args:
        fingerprint: of the stage, a line a module; its settings are told apart by themselves.
    """
    lines = fingerprint.splitlines()
    return files.sha256_of_text(
        "\n".join(line for line in lines if line.partition(" ")[0] not in _NOT_OF_ONE_RECORD)
    )


class Future(Protocol):
    """What will have become of a shard."""

    def result(self) -> Any:
        """Wait for it."""


class Workers(Protocol):
    """Processes here, or elsewhere."""

    def submit(self, function: Any, /, *arguments: Any) -> Future:
        """Begin a call."""

    def shutdown(self, *, cancel_futures: bool) -> None:
        """End them."""


class Work:
    """What becomes of the shards of one corpus."""

    def __init__(self, settings: Settings, kept: Kept | None = None) -> None:
        """Begin with no shard.

        Args:
            settings: how to clean.
            kept: what earlier runs made; without it, nothing is kept and no process is started.
        """
        self.num_shards = 0
        self.num_new = 0
        self._settings = settings
        self._kept = kept
        self._cache = _Cache(kept, settings) if kept else None
        self._pool: Workers | None = None
        self._num_workers = kept.num_workers if kept else 0
        self._new_bytes = 0

    def results(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
        """Yield each shard of some records, and what became of it, in their order.

        Args:
            batches: records as found.

        Raises:
            BadInput: an image cannot be decoded.
        """
        waiting: deque[_Begun] = deque()
        try:
            for shard in cut(batches):
                self.num_shards += 1
                waiting.append(self._begin(shard, waiting))
                if len(waiting) > AHEAD * self._num_workers:
                    yield self._end(waiting.popleft())
            while waiting:
                yield self._end(waiting.popleft())
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
        if self._cache:
            self._cache.forget_old()

    def _begin(self, shard: pa.RecordBatch, waiting: Iterable["_Begun"]) -> "_Begun":
        key = self._cache.key_of(shard) if self._cache else ""
        begun = _Begun(shard, key)
        if self._cache is None or any(other.key == key for other in waiting):
            return begun
        begun.known = self._cache.read(key, shard)
        workers = self._workers(shard.nbytes) if begun.known is None else None
        if workers is not None:
            with suppress(BrokenProcessPool):
                begun.future = workers.submit(_in_process, _to_bytes(shard), self._settings, key)
        return begun

    def _workers(self, num_bytes: int) -> Workers | None:
        """Return the processes that new records go to, started once there are many of them."""
        if self._kept is None or (self._kept.num_workers == 1 and self._kept.engine != "ray"):
            return None
        self._new_bytes += num_bytes
        if self._pool is None and self._new_bytes > self._kept.bytes_before_processes:
            if self._kept.engine == "ray":
                from tasks.machine.ray_nodes import RayNodes

                self._pool = nodes = RayNodes(LIBRARIES)
                self._num_workers = nodes.number
            else:
                # Not by a fork: Arrow has threads, which that would leave behind.
                self._pool = ProcessPoolExecutor(
                    self._kept.num_workers, get_context("spawn"), initializer=_be_process
                )
        return self._pool

    def _end(self, begun: "_Begun") -> tuple[pa.RecordBatch, pa.Table]:
        """Return a shard and what became of it; what failed elsewhere is done, or told, here."""
        shard, key, known = begun.shard, begun.key, begun.known
        if begun.future is not None:
            with suppress(BrokenProcessPool):
                content = begun.future.result()
                if content is not None:
                    self.num_new += 1
                    self._keep(key, content)
                    return shard, pq.read_table(pa.BufferReader(content))
        if known is None and self._cache:
            known = self._cache.read(key, shard)  # an equal shard before may have made it
        if known is None:
            self.num_new += 1
            known = clean_shard(shard, self._settings)
            if self._cache:
                self._keep(key, _to_parquet(known, key))
        return shard, known

    def _keep(self, key: str, content: bytes) -> None:
        if self._cache:
            self._cache.keep(key, content)


@dataclass
class _Begun:
    """A shard, and what is known of it so far."""

    shard: pa.RecordBatch
    key: str
    known: pa.Table | None = None
    future: Future | None = None


def _be_process() -> None:
    """Be one of the processes: end with the first one, whatever ends that."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_process(content: bytes, settings: Settings, key: str) -> bytes | None:
    """Clean a shard in another process; nothing if it fails, which the first one then tells."""
    try:
        shard = pa.ipc.open_stream(content).read_next_batch()
        return _to_parquet(clean_shard(shard, settings), key)
    except DownstreamError:
        return None


def _to_bytes(shard: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, shard.schema) as stream:
        stream.write_batch(shard)
    return bytes(sink.getvalue())


def _to_parquet(done: pa.Table, key: str) -> bytes:
    sink = pa.BufferOutputStream()
    named = done.replace_schema_metadata({_KEY: key.encode()})
    pq.write_table(named, sink, compression="zstd", compression_level=1)
    return bytes(sink.getvalue())


class _Cache:
    """The results of shards on the disk."""

    def __init__(self, kept: Kept, settings: Settings) -> None:
        self._folder = kept.folder
        versions = [f"{name} {public_version(name)}" for name in LIBRARIES]
        of_one_record = settings.model_dump_json(exclude={*SETTLED_LATER})
        self._holds_for = "\n".join([kept.code, of_one_record, *versions])
        self._paths = {path.name.partition(".")[0]: path for path in self._all()}
        self._used: set[Path] = set()

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.parquet"))

    def key_of(self, shard: pa.RecordBatch) -> str:
        """Return the key of what a shard becomes."""
        return files.sha256_of_text(f"{self._holds_for}\n{identity_of(shard)}")[:40]

    def read(self, key: str, shard: pa.RecordBatch) -> pa.Table | None:
        """Return what a shard became, if it is there and whole; what is not goes."""
        path = self._paths.get(key)
        if path is None:
            return None
        done = _read(path, key, shard)
        with suppress(OSError):
            if done is None:
                path.unlink()
            elif path not in self._used:
                os.utime(path)
                self._used.add(path)
        return done

    def keep(self, key: str, content: bytes) -> None:
        """Write what a shard became, if there is room."""
        path = self._folder / f"{key}.{hashlib.sha256(content).hexdigest()}.parquet"
        with suppress(OSError):
            files.write_bytes(path, content)
            self._paths[key] = path
            self._used.add(path)

    def forget_old(self) -> None:
        """Keep what was used just now and, of the rest, as many bytes again, the latest first."""
        with suppress(OSError):
            room = sum(path.stat().st_size for path in self._used)
            others = [path for path in self._all() if path not in self._used]
            for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
                room -= path.stat().st_size
                if room < 0:
                    path.unlink()
            for path in self._folder.glob(".*.tmp"):  # of a process that was killed
                path.unlink()


def _read(path: Path, key: str, shard: pa.RecordBatch) -> pa.Table | None:
    try:
        content = path.read_bytes()
        if path.name != f"{key}.{hashlib.sha256(content).hexdigest()}.parquet":
            return None
        done = pq.read_table(pa.BufferReader(content))
    except (OSError, pa.ArrowException):
        return None
    metadata = done.schema.metadata or {}
    is_right = metadata.get(_KEY) == key.encode() and done.num_rows == shard.num_rows
    return done if is_right and done.schema.equals(done_schema(shard.schema)) else None
