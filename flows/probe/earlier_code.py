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
from tasks.fingerprint.modules import module_source, possible_hashes
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


def earlier_code(root: Path, fingerprint: str, made_with: str | None = None) -> EarlierCode | None:
    """Return a state of the code with a recorded fingerprint; none if none is known here.

    Args:
        root: the repository's root.
        fingerprint: the text of ``data/code/<stage>/<row>.txt``.
        made_with: the snapshot that the result is known to have been made with: it is looked at
            first, and taken at last, since the rule of fingerprints may have changed.
    """
    wanted = {}
    for line in fingerprint.splitlines():
        name, _, known = line.partition(" ")
        if name.partition(".")[0] == "tasks" and "/" not in name:
            wanted[name] = known
    own = root / snapshot.SNAPSHOTS / made_with if made_with else None
    for folder in [*([own] if own else []), *snapshot.by_last_use(root)]:
        if _has(wanted, lambda module, folder=folder: _hashes_in(folder, module)):  # type: ignore[misc]
            return EarlierCode(f"snapshot {folder.name}", folder)
    commit = next(_commits_with(root, wanted), None)
    if commit:
        return EarlierCode(f"commit {commit[:7]}", code_of_commit(root, commit))
    return EarlierCode(f"snapshot {own.name}", own) if own and own.is_dir() else None


def _has(wanted: dict[str, str], hashes_of: Callable[[str], set[str]]) -> bool:
    return all(known in hashes_of(module) for module, known in wanted.items())


def _hashes_in(folder: Path, module: str) -> set[str]:
    path = module_source(folder, module)
    return possible_hashes(path.read_text(encoding="utf-8")) if path.is_file() else set()


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
    known: dict[str, set[str]] = {}
    for commit in listed.split():
        blobs = _blobs(root, commit)

        def hashes_of(module: str, blobs: dict[str, str] = blobs) -> set[str]:
            blob = blobs.get(module)
            if blob is None:
                return set()
            if blob not in known:
                known[blob] = possible_hashes(git(root, "cat-file", "blob", blob))
            return known[blob]

        if _has(wanted, hashes_of):
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
