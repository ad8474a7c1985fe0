"""With which library versions a result was made: kept beside it, shown by a plan, never a reason.

The same code with another torch may give other bytes, so a result says what it was made with; but
an upgrade makes nothing stale by itself, or every one would cost all GPU hours again.
"""

from pathlib import Path

from tasks.contracts import files, paths
from tasks.machine.libraries import versions_now

LIBRARIES = paths.STATE / "libraries"


def keep_versions(stage_name: str, stage_hash: str) -> None:
    """Keep the versions that a result has just been made with.

    Args:
        stage_name: ``<stage>@<row>``.
        stage_hash: the result's identity.
    """
    files.write_json(_kept(stage_name, stage_hash), versions_now())


def versions_then(stage_name: str, stage_hash: str) -> dict[str, str] | None:
    """Return the versions that a result was made with; nothing if it was made elsewhere."""
    try:
        versions = files.read_json(_kept(stage_name, stage_hash))
    except (OSError, ValueError):
        return None
    return versions if isinstance(versions, dict) else None


def carry_versions(stage_name: str, old_hash: str, new_hash: str) -> None:
    """Let a result that was accepted under new code keep the versions that it was made with.

    Args:
        stage_name: ``<stage>@<row>``.
        old_hash: the stage hash that it was made under.
        new_hash: the one that it has now.
    """
    then = versions_then(stage_name, old_hash)
    if then is not None:
        files.write_json(_kept(stage_name, new_hash), then)


def has_versions() -> bool:
    """Tell whether any were kept in this workspace."""
    return LIBRARIES.is_dir()


def _kept(stage_name: str, stage_hash: str) -> Path:
    return LIBRARIES / stage_name / f"{stage_hash}.json"
