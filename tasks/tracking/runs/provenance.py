"""Where a result comes from: the commit, what was changed since, the code, the libraries."""

import json

from tasks.contracts import files, paths
from tasks.contracts.git import ask_git
from tasks.contracts.libraries import versions_now

LARGEST_DIFF_BYTES = 1_000_000


def provenance(stage: str, row: str) -> dict[str, str]:
    """Return the tags that say what made a result, as far as that is known."""
    commit = ask_git("rev-parse", "HEAD")
    tags = {"downstream.libraries": json.dumps(versions_now())}
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["downstream.git_dirty"] = str(bool(ask_git("status", "--porcelain"))).lower()
    code = paths.code(stage, row)
    if code.exists():
        tags["downstream.code"] = files.sha256(code)
    return tags


def uncommitted() -> str:
    """Return what differs from the commit, cut where it is very long."""
    return (ask_git("diff", "HEAD") or "")[:LARGEST_DIFF_BYTES]
