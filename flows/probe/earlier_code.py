"""The code that a result was made with: a snapshot or a commit with the recorded fingerprint.

A fingerprint names modules and the hashes of their syntax trees, so it is that of every state in
which these modules say the same.
"""

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import files, paths
from tasks.errors import StageFailed
from tasks.fingerprint.rows import module_source
from tasks.fingerprint.syntax_hash import hash_of_source
from tasks.machine.git import git
from tasks.stage_process import snapshot

COMMITS = paths.STATE / "probes" / "commits"
NUM_COMMITS = 200


@dataclass(frozen=True)
class EarlierCode:
    """A state of the code.

    Attributes:
        name: the snapshot's or the commit's, for people.
        folder: holds its ``tasks/``.
    """

    name: str
    folder: Path


def earlier_code(root: Path, fingerprint: str) -> EarlierCode | None:
    """Return a state of the code with a recorded fingerprint; none if none is known here.

    Args:
        root: the repository's root.
        fingerprint: the text of ``data/code/<stage>/<row>.txt``.
    """
    wanted = {}
    for line in fingerprint.splitlines():
        name, _, known = line.partition(" ")
        if name.partition(".")[0] == "tasks" and "/" not in name:
            wanted[name] = known
    for folder in snapshot.by_last_use(root):
        if _has(wanted, lambda module, folder=folder: _hash_in(folder, module)):  # type: ignore[misc]
            return EarlierCode(f"snapshot {folder.name}", folder)
    commit = next(_commits_with(root, wanted), None)
    return EarlierCode(f"commit {commit[:7]}", code_of_commit(root, commit)) if commit else None


def _has(wanted: dict[str, str], hash_of: Callable[[str], str | None]) -> bool:
    return all(hash_of(module) == known for module, known in wanted.items())


def _hash_in(folder: Path, module: str) -> str | None:
    path = module_source(folder, module)
    return hash_of_source(path.read_text(encoding="utf-8")) if path.is_file() else None


def code_of_commit(root: Path, commit: str) -> Path:
    """Return a folder with ``tasks/`` as a commit has it.

    Args:
        root: the repository's root.
        commit: its full hash.

    Raises:
        StageFailed: there is no such commit.
    """
    kept = root / COMMITS / commit
    if not kept.is_dir():
        with (
            files.new_folder(kept) as partial,
            tempfile.NamedTemporaryFile(suffix=".tar") as archive,
        ):
            git(root, "archive", f"--output={archive.name}", commit, "tasks")
            with tarfile.open(archive.name) as tar:
                tar.extractall(partial, filter="data")
    return kept


def _commits_with(root: Path, wanted: dict[str, str]) -> Iterator[str]:
    """Yield the commits whose modules have these hashes, the newest first."""
    try:
        listed = git(root, "log", f"-{NUM_COMMITS}", "--format=%H", "--", "tasks")
    except (OSError, StageFailed):
        return  # no repository, or one without a commit
    known: dict[str, str] = {}
    for commit in listed.split():
        blobs = _blobs(root, commit)

        def hash_of(module: str, blobs: dict[str, str] = blobs) -> str | None:
            blob = blobs.get(module)
            if blob is not None and blob not in known:
                known[blob] = hash_of_source(git(root, "cat-file", "blob", blob))
            return known.get(blob or "")

        if _has(wanted, hash_of):
            yield commit


def _blobs(root: Path, commit: str) -> dict[str, str]:
    """Return the blob of every module of a commit, by the module's name."""
    blobs = {}
    for line in git(root, "ls-tree", "-r", commit, "tasks").splitlines():
        about, _, path = line.partition("\t")
        if path.endswith(".py"):
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            blobs[name] = about.split()[2]
    return blobs
