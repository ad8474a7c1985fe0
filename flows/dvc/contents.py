"""What files hold, in DVC's terms: hashes from its state database, objects in its cache."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.contracts import paths
from tasks.contracts.lock import md5_of_text
from tasks.remote.members import own_files

if TYPE_CHECKING:
    from dvc.repo import Repo


class Content(NamedTuple):
    """What a file or folder holds."""

    md5: str | None
    """The hash as ``dvc.lock`` writes it; null where there is nothing."""
    executable: bool = False


NOTHING = Content(None)
SOURCES = paths.DATA / "sources"
_SOURCES_TEXT = SOURCES.as_posix()


def content_on_disk(repo: "Repo", path: str) -> Content:
    """Hash a file or folder as it lies there (DVC remembers the hashes of unchanged files).

    Args:
        repo: the DVC repository.
        path: relative to its root.

    Raises:
        BadInput: among the sources lies what is no file, or a link that leads out of them.
    """
    from dvc_data.hashfile.build import build

    full, fs = os.path.join(repo.root_dir, path), repo.fs  # noqa: PTH118 - DVC's keys are texts
    if path.startswith(_SOURCES_TEXT):  # a plan asks this of every path: no Path is made for it
        _require_own_files(Path(repo.root_dir), Path(path))
    try:
        info = fs.info(full)
    except FileNotFoundError:
        return NOTHING
    odb = repo.cache.repo
    if info["type"] != "directory":
        meta, known = repo.state.get(full, fs, info)
        if known:
            return Content(known.value, bool(meta.isexec))
    try:
        _, meta, built = build(odb, full, fs, "md5", ignore=repo.dvcignore, dry_run=True)
    except FileNotFoundError:
        return NOTHING  # a folder with a link into a cache that has lost the file
    return Content(built.hash_info.value, bool(meta.isexec))


def _require_own_files(root: Path, path: Path) -> None:
    """Refuse sources that DVC would wait for without an end (a FIFO) or read elsewhere (a link)."""
    corpora = (root / SOURCES).glob("*") if path == SOURCES else [root / path]
    if path.is_relative_to(SOURCES):
        for corpus in corpora:
            for _ in own_files(corpus, (root / SOURCES).resolve()):
                pass


def dead_links(path: Path) -> list[Path]:
    """Return the symbolic links to nothing at a path and below it."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return [link for link in (path, *inside) if link.is_symlink() and not link.exists()]


def content_by_reading(repo: "Repo", path: str) -> Content:
    """Hash a file or folder from its bytes, whatever DVC remembers of it.

    Args:
        repo: the DVC repository.
        path: relative to its root.
    """
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB

    full = os.path.join(repo.root_dir, path)  # noqa: PTH118 - DVC's keys are texts
    known = repo.cache.repo
    forgetful = HashFileDB(known.fs, known.path)
    _, _, built = build(forgetful, full, repo.fs, "md5", ignore=repo.dvcignore, dry_run=True)
    return Content(built.hash_info.value)


def text_content(text: str) -> Content:
    """Return the content of a file that would hold ``text``."""
    return Content(md5_of_text(text))


def is_cached(repo: "Repo", md5: str) -> bool:
    """Tell whether DVC's local cache holds a file, or a folder with all that is in it."""
    from dvc_data.hashfile import check, load
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_objects.errors import ObjectFormatError

    odb = repo.cache.repo
    try:
        if md5.endswith(".dir"):
            check(odb, load(odb, HashInfo("md5", md5)))
        else:
            odb.check(md5)
    except (FileNotFoundError, ObjectFormatError):
        return False
    return True


def recorded_text(repo: "Repo", path: str, md5: str | None) -> str | None:
    """Return the text that a file had when it was recorded, from its path or from DVC's cache.

    Args:
        repo: the DVC repository.
        path: relative to its root.
        md5: the hash that ``dvc.lock`` has of it.
    """
    if not md5:
        return None
    if content_on_disk(repo, path).md5 == md5:
        return Path(path).read_text(encoding="utf-8")
    cached = Path(repo.cache.local.oid_to_path(md5))
    return cached.read_text(encoding="utf-8") if cached.is_file() else None
