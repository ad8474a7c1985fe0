"""The work tree as it is now, as a commit that another machine can fetch.

The commit belongs to no branch: it lies on a ref of its own, ``refs/downstream/<commit>``, on the
git remote ``origin``. The user's index, branch and files stay as they are. It holds what git does
not ignore, edits and new files included; results come by DVC's remote.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from tasks.errors import BadSettings, StageFailed, Unreachable
from tasks.machine.git import ask_git, git, run_command

ORIGIN = "origin"
LARGEST_FILE = 50 * 2**20
"""Of what is new or changed, in bytes: git keeps each version for ever."""
AUTHOR = ("-c", "user.name=downstream", "-c", "user.email=downstream@localhost")

_one_at_a_time = threading.Lock()


def require_origin() -> None:
    """Check that there is a remote that other machines fetch from.

    Raises:
        BadSettings: there is none.
    """
    if ask_git("remote", "get-url", ORIGIN) is None:
        raise BadSettings(
            "--engine pools: workers fetch the work tree as a commit, and this folder has no git "
            f"remote named {ORIGIN}: `git remote add {ORIGIN} URL`"
        )


def send_work_tree(name: str, needed: Iterable[str]) -> tuple[str, str]:
    """Make a commit of the work tree, and put it on a ref of its own on ``origin``.

    Args:
        name: the stage that it is for, which errors name.
        needed: files and folders that it has to hold.

    Returns:
        The commit and the ref.

    Raises:
        BadSettings: a needed file is ignored by git, or a changed one is too large for a commit.
        StageFailed: git failed.
        Unreachable: the remote does not answer, or refuses.
    """
    with _one_at_a_time:
        commit = _commit(name, needed)
    ref = f"refs/downstream/{commit}"
    try:
        git(Path(), "push", "--quiet", "--no-verify", "--force", ORIGIN, f"{commit}:{ref}")
    except StageFailed as error:
        raise Unreachable(f"{name}: its commit cannot be sent: {error}") from error
    return commit, ref


def drop_ref(ref: str) -> None:
    """Remove a ref that ``send_work_tree`` has made; one that is gone, or stays, does no harm."""
    ask_git("push", "--quiet", "--no-verify", "--delete", ORIGIN, ref)


def _commit(name: str, needed: Iterable[str]) -> str:
    head = ask_git("rev-parse", "--verify", "HEAD")
    if head is None:
        raise BadSettings(f"{name}: workers fetch a commit, and this repository has none yet")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        own = Path(git(Path(), "rev-parse", "--git-path", "index"))
        if own.exists():
            shutil.copy(own, index)  # with what git knows of each file, so that few are read
        within = [f"GIT_INDEX_FILE={index}", "git"]
        _in(within, "add", "--all")
        changed = _in(within, "diff", "--cached", "--name-only", "-z", "--diff-filter=d", head)
        for path in filter(None, changed.split("\0")):
            size = os.lstat(path).st_size
            if size > LARGEST_FILE:
                raise BadSettings(
                    f"{name}: {path} has {size / 2**20:.0f} MiB, which is too large for the commit "
                    "that workers fetch: `dvc add` it, or have git ignore it"
                )
        for path in needed:
            if not _in(within, "ls-files", "--cached", "--", path):
                raise BadSettings(
                    f"{name}: {path} is ignored by git and not tracked by DVC, so that no worker "
                    "can have it: `dvc add` it, or have git track it"
                )
        tree = _in(within, "write-tree")
    # The same work tree is the same commit, however often it is sent.
    date = git(Path(), "show", "--no-patch", "--format=%cI", head)
    dates = [f"GIT_AUTHOR_DATE={date}", f"GIT_COMMITTER_DATE={date}", "git", *AUTHOR]
    message = "The work tree of a run"
    return _in(dates, "commit-tree", "--no-gpg-sign", "-p", head, "-m", message, tree)


def _in(environment: list[str], *arguments: str) -> str:
    return run_command(f"git {arguments[0]}", ["env", *environment, *arguments], Path())
