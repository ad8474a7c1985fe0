"""A clone of this repository, in which a benchmark runs ``downstream`` on rows of its own."""

import subprocess
import sys
from pathlib import Path


def prepare_clone(folder: Path) -> None:
    """Bring a clone of this repository to its present commit; what it has computed stays.

    Args:
        folder: the clone; it is made where there is none.
    """
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    for command in (["fetch", "--quiet"], ["reset", "--quiet", "--hard", "origin/HEAD"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


def run(folder: Path, *command: str) -> None:
    """Run a command of ``downstream`` in a clone."""
    program = [sys.executable, "-c", "from flows.cli.app import main; raise SystemExit(main())"]
    done = subprocess.run([*program, *command], cwd=folder, check=False)
    if done.returncode:
        sys.exit(f"downstream {command[0]} failed in {folder}: the lines above say why")
