"""Compressed bytes, unpacked no further than an honest file would go."""

import gzip
import io
import lzma
import zipfile
import zlib
from typing import IO

from tasks.errors import BadInput

# Text packs 3 to 20 times smaller; deflate ends at 1,030 times, which only a bomb comes near.
MAXIMUM_RATIO = 200
# Below this size no ratio does harm (a small file of equal lines packs very well).
HARMLESS_BYTES = 64 * 2**20

_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)


def refuse_bomb(name: str, packed_bytes: int, unpacked_bytes: int) -> None:
    """Refuse an archive that says it grows absurdly when unpacked.

    Raises:
        BadInput: it does.
    """
    if unpacked_bytes > max(HARMLESS_BYTES, MAXIMUM_RATIO * packed_bytes):
        raise BadInput(
            f"{name} unpacks from {packed_bytes:,} to {unpacked_bytes:,} bytes, more than "
            f"{MAXIMUM_RATIO} times its size: it was not opened"
        )


class _Guarded(io.RawIOBase):
    """Reads from ``inner`` up to a limit, with errors that name the file."""

    def __init__(self, inner: IO[bytes], name: str, limit: int, below: IO[bytes] | None) -> None:
        self._inner = inner
        self._below = below
        self._name = name
        self._limit = limit
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            data = self._inner.read(len(buffer))
        except _DAMAGED as error:
            raise BadInput(f"{self._name} is damaged: {error}; get or pack it again") from None
        self._count += len(data)
        if self._count > self._limit:
            raise BadInput(
                f"{self._name} unpacks to more than {self._limit:,} bytes, over {MAXIMUM_RATIO} "
                "times its size: reading it was given up"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        if self._below is not None:
            self._below.close()
        super().close()


def guarded(inner: IO[bytes], name: str, limit: int, below: IO[bytes] | None = None) -> IO[bytes]:
    """Return ``inner`` as a stream that raises :class:`BadInput` on damage or above ``limit``.

    Args:
        inner: the unpacked bytes.
        name: the file, for messages.
        limit: how many bytes there may be.
        below: a stream that ``inner`` reads from but does not close.
    """
    raw = _Guarded(inner, name, limit, below)
    return io.BufferedReader(raw, 2**16)  # type: ignore[type-var]


def unzipped(packed: IO[bytes], name: str, packed_bytes: int) -> IO[bytes]:
    """Return the content of a gzip stream, which does not say beforehand how large it is."""
    limit = max(HARMLESS_BYTES, MAXIMUM_RATIO * packed_bytes)
    inner = gzip.GzipFile(fileobj=packed)
    return guarded(inner, name, limit, packed)  # type: ignore[arg-type]
