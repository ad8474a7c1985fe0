"""A clone of this repository for unattended runs, so that they never touch the user's workspace.

It shares the workspace's DVC cache (results are not stored twice, and local sources that were
``dvc add``ed are there), its device leases and its records for MLflow. It has a branch of its own
for what it commits: the pins of remote sources and ``dvc.lock``.
"""

import shutil
import sys
from pathlib import Path

from flows.dvc.internals import share_cache
from flows.dvc.trees import require_lock_inside
from tasks.contracts import files, paths
from tasks.contracts.files import new_folder
from tasks.errors import BadSettings, StageFailed, one_of
from tasks.machine.git import git, run_command

SHARED_STATE = ("devices", "mlflow")
LINK_TYPES = ["reflink", "hardlink", "copy"]
# Results are taken whole from one side: two locks mixed line by line would be neither's.
WHOLE_FILES = "dvc.lock -merge\npin.json -merge\n"
ATTRIBUTES = Path(".git", "info", "attributes")
"""Where that stands, and by which a clone is known that ``prepare`` has made: any other is
somebody's work."""
NOBODY = {"user.name": "downstream nightly", "user.email": "nightly@localhost"}


def prepare(workspace: Path, repository: str, clone: Path, branch: str, commit_to: str) -> None:
    """Make the clone, or bring it up to date; whatever a killed run left there is undone.

    Args:
        workspace: whose cache, leases and records it shares.
        repository: what is cloned.
        clone: where it lies.
        branch: the branch whose code and parameters are run.
        commit_to: the clone's own branch; ``branch`` is merged into it.

    Raises:
        BadSettings: there is no such branch, or the folder holds what this has not made.
        StageFailed: git or DVC failed.
    """
    if branch == commit_to:
        raise BadSettings(
            f"commit_to: {commit_to!r} is the branch that is run: results go to one of their own"
        )
    if not clone.exists():
        with new_folder(clone) as unfinished:
            git(clone.parent, "clone", "--quiet", "--no-checkout", repository, str(unfinished))
            files.write_text(unfinished / ATTRIBUTES, WHOLE_FILES)
    if not _is_ours(clone):
        raise BadSettings(f"{clone} exists and is no clone that nightly has made: move it away")
    (clone / ".git" / "index.lock").unlink(missing_ok=True)
    _settle(clone, repository)
    git(clone, "fetch", "--quiet", "--prune", "origin")
    _require_branch(clone, repository, branch)
    git(clone, "reset", "--hard", "--quiet")
    git(clone, "clean", "--quiet", "--force", "-d", "--", str(paths.DATA / "sources"))
    _merge(clone, branch, commit_to)
    # With its local settings, such as remotes.
    local = workspace / ".dvc" / "config.local"
    if local.exists():
        shutil.copy(local, clone / ".dvc" / "config.local")
    share_cache(workspace, clone, LINK_TYPES)
    share_state(workspace, clone)
    require_lock_inside(clone)
    checkout = ["checkout", "--quiet", "--force", "--allow-missing"]
    run_command("dvc checkout", [sys.executable, "-m", "dvc", *checkout], clone)


def commit_results(clone: Path, message: str) -> str | None:
    """Commit ``dvc.lock`` and the pins; nothing is ever pushed.

    Returns:
        The commit, or None if neither has changed.
    """
    results = [clone / "dvc.lock", *sorted(clone.glob("data/sources/*/pin.json"))]
    git(clone, "add", "--", *(str(file.relative_to(clone)) for file in results if file.is_file()))
    if not git(clone, "diff", "--cached", "--name-only"):
        return None
    git(clone, "commit", "--quiet", "--no-verify", "--message", message)
    return git(clone, "rev-parse", "--short", "HEAD")


def share_state(workspace: Path, clone: Path) -> None:
    """Let the clone take the workspace's device leases and keep its records for MLflow there."""
    for name in SHARED_STATE:
        ours, theirs = (root.resolve() / paths.STATE / name for root in (workspace, clone))
        ours.mkdir(parents=True, exist_ok=True)
        theirs.parent.mkdir(parents=True, exist_ok=True)
        if not theirs.exists():
            theirs.symlink_to(ours)


def _is_ours(clone: Path) -> bool:
    try:
        return (clone / ATTRIBUTES).read_text(encoding="utf-8") == WHOLE_FILES
    except OSError:
        return False


def _settle(clone: Path, repository: str) -> None:
    """Set what git needs to work unattended."""
    git(clone, "remote", "set-url", "origin", repository)
    git(clone, "config", "commit.gpgSign", "false")
    if not git(clone, "config", "--default", "", "--get", "user.email"):
        for key, value in NOBODY.items():
            git(clone, "config", key, value)


def _require_branch(clone: Path, repository: str, branch: str) -> None:
    listed = git(clone, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin")
    names = [name for name in listed.split() if name != "HEAD"]
    if branch not in names:
        raise BadSettings(
            f"branch: {repository} has none named {branch!r}; {one_of(branch, names)}"
        )


def _merge(clone: Path, branch: str, commit_to: str) -> None:
    if not git(clone, "branch", "--list", commit_to):
        git(clone, "checkout", "--quiet", "--no-track", "-B", commit_to, f"origin/{branch}")
        return
    git(clone, "checkout", "--quiet", "--force", commit_to)
    try:
        git(clone, "merge", "--quiet", "--ff", "--no-edit", f"origin/{branch}")
    except StageFailed:
        _take_theirs(clone, branch)


def _take_theirs(clone: Path, branch: str) -> None:
    """End a merge with the branch's side of what both have changed.

    What is lost are records of results, not results: DVC's run cache has those.
    """
    for path in git(clone, "diff", "--name-only", "--diff-filter=U").splitlines():
        if git(clone, "ls-tree", "--name-only", f"origin/{branch}", "--", path):
            git(clone, "checkout", "--quiet", f"origin/{branch}", "--", path)
        else:
            git(clone, "rm", "--quiet", "--force", "--", path)
    git(clone, "commit", "--quiet", "--no-verify", "--no-edit")
