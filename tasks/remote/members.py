"""The files of a source, whether they lie in a folder or inside an archive.

Archives are read in place: no member is ever written to disk, so none can be written outside of a
folder. A member's name that points outside, or a size that no honest archive has, is refused all
the same, since such an archive was made to do harm.
"""

import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO

from tasks.errors import BadInput

# What lies beside the data without being data.
_NO_RECORDS = {"pin.json", "__MACOSX"}
# What a person has corrected in the labels; a file of that name in a folder or archive holds data.
_CORRECTIONS = ("corrections.csv",)
_ENCRYPTED = 0x1
# A file in DVC's cache or that of the Hugging Face hub, wherever it lies: it is named by its hash.
_CACHED = re.compile(r"/([0-9a-f]{2}/[0-9a-f]{30}|blobs/[0-9a-f]{40}([0-9a-f]{24})?)$")
_NAME_IS_UTF8 = 0x800
# As long as the path of a file may be.
_LONGEST_NAME = 4_096

# Text packs 3 to 20 times smaller; deflate ends at 1,030 times, which only a bomb comes near.
MAXIMUM_RATIO = 200
# Below this size no ratio does harm (a small file of equal lines packs very well).
HARMLESS_BYTES = 64 * 2**20

_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)


@dataclass(frozen=True)
class Member:
    """One file of a source.

    Attributes:
        parts: its path within the source, through archives: ``("a.zip", "cat", "1.png")``.
        archive: the leading parts that are an archive; empty for a plain file.
        packed: opens its bytes, still gzipped where the name ends in ``.gz``.
        num_bytes: what it takes on the disk, in its archive if it is in one.
    """

    parts: tuple[str, ...]
    archive: tuple[str, ...]
    packed: Callable[[], IO[bytes]]
    num_bytes: int

    @property
    def name(self) -> str:
        """The path within the source, for messages and the column ``source``."""
        return "/".join(self.parts)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders above the file, within its archive if it is in one."""
        return self.parts[len(self.archive) : -1]

    @property
    def suffix(self) -> str:
        """The ending that tells the format, without ``.gz``."""
        path = PurePosixPath(self.parts[-1].lower())
        return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix

    def open(self) -> IO[bytes]:
        """Return the member's bytes, unpacked."""
        if self.parts[-1].lower().endswith(".gz"):
            packed = self.packed()
            inner: IO[bytes] = gzip.GzipFile(fileobj=packed)  # type: ignore[assignment]
            return guarded(inner, self.name, most_unpacked(self.num_bytes), packed)
        return self.packed()

    def require_honest(self, num_bytes: int) -> None:
        """Refuse to go on where it has become more than a file of its size may.

        Args:
            num_bytes: what was unpacked of it.

        Raises:
            BadInput: it is too much.
        """
        if num_bytes > most_unpacked(self.num_bytes):
            raise BadInput(_too_much(self.name, most_unpacked(self.num_bytes)))


def most_unpacked(num_bytes: int) -> int:
    """Return how many bytes a file of a size may become."""
    return max(HARMLESS_BYTES, MAXIMUM_RATIO * num_bytes)


def _too_much(name: str, limit: int) -> str:
    return (
        f"{name} unpacks to more than {limit:,} bytes, over {MAXIMUM_RATIO} times its size: "
        "reading it was given up"
    )


def in_folder(folder: Path) -> Iterator[Member]:
    """Yield the files of a folder and of the zip archives in it, sorted by path.

    Hidden files, ``pin.json``, DVC's own ``*.dvc`` and the corpus'
    ``corrections.csv`` are never records.

    Raises:
        BadInput: something in it is no file, or a link that leads out of the sources or nowhere.
    """
    sources = folder.parent.resolve()
    if folder.is_symlink():
        _require_inside(folder, sources)
    for path in sorted(own_files(folder, sources)):
        parts = path.relative_to(folder).parts
        if not is_data(parts) or parts == _CORRECTIONS:
            continue
        if path.is_dir():
            raise BadInput(f"{path} is a link to a folder, which is not followed: copy the files")
        if not path.is_file():
            raise BadInput(f"{path} is a link that leads to no file: `dvc checkout`, or remove it")
        yield from of_file(path, parts)


def own_files(folder: Path, sources: Path) -> Iterator[Path]:
    """Yield the files of a corpus' folder, and its links (those to folders are not followed).

    A link to a file may lead to another file of the sources, or into a cache that names its files
    by their hash, as DVC and the Hugging Face hub lay out what they keep. Whatever else it leads to
    is no file of the corpus.

    Args:
        folder: the corpus' folder.
        sources: where links may lead, as an absolute path without links.

    Raises:
        BadInput: a link leads to a file elsewhere, something is no file (to read a FIFO is to wait
            for ever), or a name is not UTF-8, which neither DVC nor a record can hold.
    """
    pending = [folder] if folder.is_dir() else []
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if not _is_utf8(entry.name):
                    raise BadInput(
                        f"{path.parent}: the name {os.fsencode(entry.name)!r} is not UTF-8: rename"
                    )
                if "\n" in entry.name:
                    raise BadInput(f"{path.parent}: the name {entry.name!r} has a line end: rename")
                if entry.is_symlink():
                    if not path.is_dir():
                        _require_inside(path, sources)
                elif entry.is_dir():
                    pending.append(path)
                    continue
                elif not entry.is_file():
                    raise BadInput(f"{path} is neither a file nor a folder: remove it")
                yield path


def _require_inside(link: Path, sources: Path) -> None:
    target = Path(os.path.realpath(link))  # Path.resolve raises on a circle, in some versions
    if not target.is_relative_to(sources) and not _CACHED.search(target.as_posix()):
        raise BadInput(
            f"{link} is a link to {target}, which is not in {sources}: copy the file if it is meant"
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def of_file(path: Path, parts: tuple[str, ...]) -> Iterator[Member]:
    """Yield a file, or the members of a zip archive.

    Args:
        path: where it lies.
        parts: its path within the source.
    """
    if path.suffix.lower() == ".zip":
        yield from in_archive(path, parts)
    else:
        yield Member(parts, (), partial(_open_file, path), path.stat().st_size)


def in_archive(path: Path, parts: tuple[str, ...] = ()) -> Iterator[Member]:
    """Yield the members of a zip archive (a wheel is one), sorted by name.

    The archive stays open until the last member was taken.

    Raises:
        BadInput: the archive is damaged, encrypted, or made to do harm.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{path.name} is not a zip archive that can be read: {error}") from None
    with archive:
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
        _refuse_bomb(path.name, path.stat().st_size, sum(info.file_size for info in infos))
        members = [(safe_parts(_name_of(info, path.name), path.name), info) for info in infos]
        members.sort(key=lambda member: member[0])
        refuse_twice([inner for inner, _ in members], path.name)
        for inner, info in members:
            if is_data(inner):
                opened = partial(_open, archive, info, path.name)
                yield Member(parts + inner, parts, opened, info.compress_size)


def refuse_twice(names: list[tuple[str, ...]], archive: str) -> None:
    """Refuse sorted names of which two are equal.

    Raises:
        BadInput: an archive has two members of one name.
    """
    for name, following in pairwise(names):
        if name == following:
            raise BadInput(
                f"{archive} has two members {'/'.join(name)!r}: pack it again with one of them"
            )


def is_data(parts: tuple[str, ...]) -> bool:
    """Tell whether a file can hold records, by its path."""
    hidden = any(part.startswith(".") or part in _NO_RECORDS for part in parts)
    return not hidden and not parts[-1].endswith(".dvc")


def _name_of(info: zipfile.ZipInfo, archive: str) -> str:
    name = info.filename
    if info.flag_bits & _NAME_IS_UTF8 or name.isascii():
        return name
    # Without the flag zipfile reads names as the IBM PC did; most tools meant UTF-8.
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise BadInput(
            f"{archive}: the member name {name!r} is not UTF-8: pack the archive again with "
            "UTF-8 names"
        ) from None


def safe_parts(name: str, archive: str) -> tuple[str, ...]:
    """Return the path of an archive's member, folder by folder.

    Args:
        name: what the archive calls it.
        archive: its own name, for messages.

    Raises:
        BadInput: the name points outside, or is none.
    """
    parts = tuple(name.replace("\\", "/").split("/"))
    if len(name) > _LONGEST_NAME:
        raise BadInput(f"{archive}: the member {name[:40]!r}… has too long a name; rename it")
    if not _is_utf8(name):
        raise BadInput(f"{archive}: the member name {name!r} is not UTF-8: pack the archive again")
    if "\n" in name:
        raise BadInput(
            f"{archive}: the member name {name!r} has a line end: pack the archive again"
        )
    if not set(parts) - {"", "."}:
        raise BadInput(f"{archive}: a member without a name: pack the archive again")
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        raise BadInput(
            f"{archive}: the member {name!r} points outside of the archive; it was not opened"
        )
    return tuple(part for part in parts if part not in ("", "."))


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> IO[bytes]:
    where = f"{name}/{info.filename}"
    _refuse_bomb(where, info.compress_size, info.file_size)
    if info.flag_bits & _ENCRYPTED:
        raise BadInput(f"{where} is encrypted: pack the archive again without a password")
    try:
        return guarded(archive.open(info), where, info.file_size)
    except (*_DAMAGED, NotImplementedError) as error:
        raise BadInput(f"{where} cannot be unpacked: {error}") from None


def _refuse_bomb(name: str, packed_bytes: int, unpacked_bytes: int) -> None:
    """Refuse an archive that says it grows absurdly when unpacked.

    Raises:
        BadInput: it does.
    """
    if unpacked_bytes > most_unpacked(packed_bytes):
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
            raise BadInput(_too_much(self._name, self._limit))
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
