"""git as a process: run in a folder, or asked for something that may not be known."""

import os
import subprocess
from pathlib import Path

from tasks.errors import StageFailed

# It asks nothing of a person who may not be there, and speaks English.
UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "LC_ALL": "C"}
ASK_TIMEOUT_SECONDS = 30


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder.

    Returns:
        What it prints, without spaces around it.

    Raises:
        StageFailed: it ended with an error, of which the last line is told.
    """
    return run_command(f"git {arguments[0]}", ["git", *arguments], folder)


def ask_git(*arguments: str) -> str | None:
    """Ask git about the current directory.

    Returns:
        What it prints, without spaces around it; None without git, a repository or an answer.
    """
    try:
        done = _run(["git", *arguments], Path(), timeout_seconds=ASK_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def run_command(name: str, command: list[str], folder: Path) -> str:
    """Run a program that asks nothing.

    Args:
        name: what the error calls it, for example ``git fetch``.
        command: its words.
        folder: where it runs.

    Returns:
        What it prints, without spaces around it.

    Raises:
        StageFailed: it ended with an error, of which the last line is told.
    """
    done = _run(command, folder)
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise StageFailed(f"{name} in {folder}: {reason}")
    return done.stdout.strip()


def _run(
    command: list[str], folder: Path, timeout_seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no shell, and no command from outside
        command,
        cwd=folder,
        env={**os.environ, **UNATTENDED},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=timeout_seconds,
    )
