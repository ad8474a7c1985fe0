"""What large files held, so that a corpus that grows by a file reads that file alone.

    .downstream/shards/collect@<corpus>/<key>.<sha256>.parquet

The key is a hash of the file's bytes and name, of the code and settings, and of the libraries that
read it; the second part of the name is that of these bytes. It is a cache and no more, like that of
``clean``: what is absent, torn or altered is read from the source, and a disk that takes nothing
more costs time alone.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files, paths
from tasks.machine.libraries import public_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

LIBRARIES = ("python", "pyarrow")
"""Those whose work is in the records of a file; no code fingerprint tells their versions."""
_KEY = b"downstream.key"


@dataclass(frozen=True)
class Kept:
    """Where the records of files are kept, and what they hold for."""

    folder: Path
    code: str
    """A hash of the code that reads them."""

    @classmethod
    def of(cls, corpus: str, code: str) -> Kept:
        """Return what a corpus has in this workspace.

        Args:
            corpus: its name.
            code: a hash of the code that reads its files.
        """
        return cls(paths.STATE / "shards" / f"collect@{corpus}", code)


class Cache:
    """The records of files, on the disk."""

    def __init__(self, kept: Kept) -> None:
        """Look at what is there.

        Args:
            kept: where, and what it holds for.
        """
        self._folder = kept.folder
        versions = [f"{name} {public_version(name)}" for name in LIBRARIES]
        self._holds_for = "\n".join([kept.code, *versions])
        self._paths = {path.name.partition(".")[0]: path for path in self._all()}
        self._used: set[Path] = set()
        self.num_read = self.num_kept = 0

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.parquet"))

    def key_of(self, identity: str, settings: str) -> str:
        """Return the key of what a file holds.

        Args:
            identity: of its bytes and its place.
            settings: how it is read.
        """
        return files.sha256_of_text(f"{self._holds_for}\n{settings}\n{identity}")[:40]

    def read(self, key: str) -> Iterator[pa.RecordBatch] | None:
        """Return what a file holds, if it is there and whole; what is not goes."""
        from tasks.contracts.records import read_batches, read_schema

        path = self._paths.get(key)
        if path is None:
            return None
        with suppress(OSError):
            is_whole = path.name == f"{key}.{files.sha256(path)}.parquet"
            if is_whole and (read_schema(path).metadata or {}).get(_KEY) == key.encode():
                self._used.add(path)
                self.num_kept += 1
                return read_batches(path)
            path.unlink()
        return None

    def keep(self, key: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the records of a file, and keep them once they have all been read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.num_read += 1
        partial = self._folder / f".{key}.tmp"
        writer: pq.ParquetWriter | None = None
        is_kept = True
        try:
            for batch in batches:
                if is_kept:
                    try:
                        if writer is None:
                            self._folder.mkdir(parents=True, exist_ok=True)
                            schema = batch.schema.with_metadata({_KEY: key.encode()})
                            writer = pq.ParquetWriter(partial, schema, compression="lz4")
                        writer.write_table(pa.Table.from_batches([batch]))
                    except OSError:
                        is_kept = False
                yield batch
            with suppress(OSError):
                if writer is not None and is_kept:
                    writer.close()
                    path = self._folder / f"{key}.{files.sha256(partial)}.parquet"
                    partial.replace(path)
                    self._used.add(path)
        finally:
            with suppress(OSError):
                if writer is not None:
                    writer.close()
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def forget_others(self) -> None:
        """Keep what was used just now."""
        with suppress(OSError):
            for path in [*self._all(), *self._folder.glob(".*.tmp")]:
                if path not in self._used:
                    path.unlink()
