"""Which workspace a command acts on: the one it is called in, with that one's own code.

The installed command ``downstream`` belongs to one checkout. Called inside another (a clone, a
worktree), it starts anew with the code that lies there, so that code and data always match.
"""

import os
import sys
from pathlib import Path

from tasks.errors import DownstreamError

RESTARTED = "DOWNSTREAM_RESTARTED"


def enter_workspace(arguments: list[str]) -> Path:
    """Change to the root of the workspace that holds the current directory.

    Args:
        arguments: the command line, for a start with the code of that workspace.

    Returns:
        The workspace's root.

    Raises:
        DownstreamError: the current directory lies in no workspace.
    """
    root = find_root(Path.cwd())
    os.chdir(root)
    if root != Path(__file__).resolve().parents[1]:
        _restart(arguments, root)
    return root


def find_root(folder: Path) -> Path:
    """Return the nearest folder upwards that holds ``dvc.yaml`` and ``flows/``.

    Raises:
        DownstreamError: there is none.
    """
    for candidate in [folder.resolve(), *folder.resolve().parents]:
        if (candidate / "dvc.yaml").is_file() and (candidate / "flows").is_dir():
            return candidate
    raise DownstreamError(
        f"{folder} is not inside a downstream workspace (dvc.yaml beside flows/, here or above): "
        "change to your clone of the repository"
    )


def _restart(arguments: list[str], root: Path) -> None:
    if RESTARTED in os.environ:
        raise DownstreamError(
            f"{root} has its own flows/, but Python imports {Path(__file__).parent}: "
            f"run {sys.executable} -m flows there, without PYTHONPATH and PYTHONSAFEPATH"
        )
    os.environ[RESTARTED] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "flows", *arguments])  # noqa: S606
