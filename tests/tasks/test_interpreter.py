"""A stage called with a Python that lacks the packages starts again with the project's own."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_bare_python_hands_over_to_the_environment(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    shutil.copy(ROOT / "tasks" / "__init__.py", tmp_path / "tasks")
    (tmp_path / "tasks" / "where.py").write_text("print('bare')\n")
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text('#!/bin/sh\necho "environment: $*"\n')
    interpreter.chmod(0o755)
    command = [sys.executable, "-S", "-m", "tasks.where", "row"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "environment: -S -m tasks.where row\n"
    command.remove("-S")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "bare\n"
