"""Where a result comes from: the commit, what was changed since, the code, the libraries."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version

from tasks.contracts import files, paths

LIBRARIES = (
    "datasets",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)
LARGEST_DIFF_BYTES = 1_000_000


def provenance(stage: str, row: str) -> dict[str, str]:
    """Return the tags that say what made a result, as far as that is known."""
    commit = git("rev-parse", "HEAD")
    tags = {"downstream.libraries": json.dumps(libraries())}
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["downstream.git_dirty"] = str(bool(git("status", "--porcelain"))).lower()
    code = paths.code(stage, row)
    if code.exists():
        tags["downstream.code"] = files.sha256(code)
    return tags


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that can change a result."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def uncommitted() -> str:
    """Return what differs from the commit, cut where it is very long."""
    return git("diff", "HEAD")[:LARGEST_DIFF_BYTES]


def git(*arguments: str) -> str:
    """Return what git prints; nothing without git, a repository or a commit."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are constants of this file
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=30,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
