"""With which library versions a result was made: kept beside it, and shown by a plan.

The same code with another torch may give other bytes, so a result says what it was made with; but
an upgrade makes nothing stale by itself, or every one would cost all GPU hours again. Only the
libraries that ``params.yaml`` names are lines of a row's fingerprint, and so a reason to run.
"""

from collections.abc import Iterable
from pathlib import Path

from tasks.contracts import files, paths
from tasks.machine.libraries import public_version, versions_now

LIBRARIES = paths.STATE / "libraries"
LIBRARY_LINE = "library:"
"""What a library's line in a fingerprint starts with; no module has such a name."""


def library_lines(names: Iterable[str]) -> str:
    """Return a fingerprint's lines of the libraries that a row names."""
    return "".join(f"{LIBRARY_LINE}{name} {public_version(name)}\n" for name in names)


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
