"""The files of a source, whether they lie in a folder or inside an archive.

Archives are read in place: no member is ever written to disk, so none can be written outside of a
folder. A member's name that points outside, or a size that no honest archive has, is refused all
the same, since such an archive was made to do harm.
"""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from tasks.errors import BadInput
from tasks.remote.packed import guarded, refuse_bomb, unzipped

# What lies beside the data without being data.
_NO_RECORDS = {"pin.json", "__MACOSX"}
_ENCRYPTED = 0x1
_NAME_IS_UTF8 = 0x800


@dataclass(frozen=True)
class Member:
    """One file of a source.

    Attributes:
        parts: its path within the source, through archives: ``("a.zip", "cat", "1.png")``.
        archive: the leading parts that are an archive; empty for a plain file.
        packed: opens its bytes, still gzipped where the name ends in ``.gz``.
        num_bytes: the size of those bytes.
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
            return unzipped(self.packed(), self.name, self.num_bytes)
        return self.packed()


def in_folder(folder: Path) -> Iterator[Member]:
    """Yield the files of a folder and of the zip archives in it, sorted by path.

    Hidden files, ``pin.json`` and DVC's own ``*.dvc`` are never records.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts = path.relative_to(folder).parts
        if _is_data(parts):
            yield from of_file(path, parts)


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
        infos = [info for info in archive.infolist() if not info.is_dir()]
        refuse_bomb(path.name, path.stat().st_size, sum(info.file_size for info in infos))
        members = [(_safe_parts(info, path), info) for info in infos]
        for inner, info in sorted(members, key=lambda member: member[0]):
            if _is_data(inner):
                opened = partial(_open, archive, info, path.name)
                yield Member(parts + inner, parts, opened, info.file_size)


def _is_data(parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") or part in _NO_RECORDS for part in parts)
    return not hidden and not parts[-1].endswith(".dvc")


def _safe_parts(info: zipfile.ZipInfo, path: Path) -> tuple[str, ...]:
    name = info.filename
    if not info.flag_bits & _NAME_IS_UTF8 and not name.isascii():
        # Without the flag zipfile reads names as the IBM PC did; most tools meant UTF-8.
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            raise BadInput(
                f"{path.name}: the member name {name!r} is not UTF-8: pack the archive again with "
                "UTF-8 names"
            ) from None
    parts = tuple(name.replace("\\", "/").split("/"))
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        raise BadInput(
            f"{path.name}: the member {name!r} points outside of the archive; it was not opened"
        )
    return tuple(part for part in parts if part not in ("", "."))


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> IO[bytes]:
    where = f"{name}/{info.filename}"
    refuse_bomb(where, info.compress_size, info.file_size)
    if info.flag_bits & _ENCRYPTED:
        raise BadInput(f"{where} is encrypted: pack the archive again without a password")
    try:
        return guarded(archive.open(info), where, info.file_size)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise BadInput(f"{where} cannot be unpacked: {error}") from None
