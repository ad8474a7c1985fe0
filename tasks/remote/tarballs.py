"""Archives that are tars: published sources of Python, packages of npm and of Debian.

A packed tar can be read from front to back alone, so it is unpacked into a temporary file, no
further than is honest; its members are then read in place, as those of a zip archive are. A hard
link is the file that it names, in the same archive; other links and devices are no data and are
left out, so that no name leads anywhere.
"""

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from tasks.errors import BadInput
from tasks.remote.members import (
    Member,
    guarded,
    is_data,
    most_unpacked,
    refuse_twice,
    safe_parts,
)

_PACKINGS = (".gz", ".tgz", ".xz", ".bz2", ".zst", ".tar")
_AR_MAGIC, _AR_HEADER_BYTES = b"!<arch>\n", 60
_COPY_BYTES = 2**20


def in_tarball(path: Path) -> Iterator[Member]:
    """Yield the files of a tar (``.tar``, ``.tgz``, ``.tar.gz``, ``.xz``, ``.bz2``) or a ``.deb``.

    The archive stays open until the last member was taken.

    Args:
        path: the archive.

    Raises:
        BadInput: it is damaged, of another kind, or made to do harm.
    """
    with tempfile.TemporaryFile() as unpacked, path.open("rb") as file:
        if path.suffix.lower() == ".deb":
            with tempfile.TemporaryFile() as data:
                name, num_bytes = _copy_data_of_deb(file, path.name, data)
                _unpack(data, name, path.name, num_bytes, unpacked)
        else:
            _unpack(file, path.name, path.name, path.stat().st_size, unpacked)
        yield from _members(unpacked, path.name)


def _unpack(packed: IO[bytes], name: str, archive: str, num_bytes: int, into: IO[bytes]) -> None:
    suffix = Path(name).suffix.lower()
    if suffix not in _PACKINGS:
        raise BadInput(
            f"{archive}: {name} is packed as {suffix or 'nothing known'}, which is not read "
            f"({', '.join(_PACKINGS)}): unpack it into data/sources, and use kind: files"
        )
    with guarded(_decompressed(packed, suffix), archive, most_unpacked(num_bytes)) as inner:
        shutil.copyfileobj(inner, into, _COPY_BYTES)
    into.seek(0)


def _decompressed(packed: IO[bytes], suffix: str) -> Any:
    if suffix in (".gz", ".tgz"):
        return gzip.GzipFile(fileobj=packed)
    if suffix == ".xz":
        return lzma.LZMAFile(packed)
    if suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")
    return bz2.BZ2File(packed) if suffix == ".bz2" else packed


def _members(unpacked: IO[bytes], archive: str) -> Iterator[Member]:
    try:
        tar = tarfile.open(fileobj=unpacked, mode="r:")  # noqa: SIM115 - closed with its file
        named = [(info.name, _content_of(tar, info)) for info in tar]
        unpacked.seek(tar.offset)
        rest = unpacked.read(tarfile.BLOCKSIZE)
    except (tarfile.TarError, ValueError, OSError) as error:
        raise BadInput(f"{archive} is not a tar that can be read: {error}") from None
    if rest.strip(b"\0"):
        raise BadInput(f"{archive} is damaged at byte {tar.offset:,} of its tar: get it again")
    members = [(safe_parts(name, archive), info) for name, info in named if info is not None]
    members.sort(key=lambda member: member[0])
    refuse_twice([parts for parts, _ in members], archive)
    for parts, info in members:
        if is_data(parts):
            yield Member(parts, (), partial(_open, tar, info, archive), info.size)


def _content_of(tar: tarfile.TarFile, info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return what holds the bytes of a member: for a hard link, the file of its name before it."""
    if info.islnk():
        earlier = [other for other in tar.getmembers() if other.name == info.linkname]
        return next((other for other in reversed(earlier) if other.isreg()), None)
    return info if info.isreg() and not info.issparse() else None


def _open(tar: tarfile.TarFile, info: tarfile.TarInfo, archive: str) -> IO[bytes]:
    found = tar.extractfile(info)
    assert found is not None  # noqa: S101 - a regular file
    return guarded(found, f"{archive}/{info.name}", info.size)


def _copy_data_of_deb(file: IO[bytes], archive: str, into: IO[bytes]) -> tuple[str, int]:
    """Copy the tar with the files of a Debian package; return its name and its size in bytes.

    A ``.deb`` is an ``ar`` archive: entries with a header of 60 bytes, the name in the first 16 and
    the size in bytes 48 to 58, each beginning at an even place (deb(5)).
    """
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise BadInput(f"{archive} is not a Debian package that can be read")
    while header := file.read(_AR_HEADER_BYTES):
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        size = header[48:58].decode("ascii", "replace").strip()
        if len(header) < _AR_HEADER_BYTES or not size.isdecimal():
            break
        if name.startswith("data.tar"):
            left = int(size)
            while left and (piece := file.read(min(left, _COPY_BYTES))):
                into.write(piece)
                left -= len(piece)
            if left:
                break
            into.seek(0)
            return name, int(size)
        file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise BadInput(f"{archive} is damaged: it has no data.tar; get it again")
