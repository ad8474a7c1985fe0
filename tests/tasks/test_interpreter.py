"""A stage called with a Python that lacks the packages starts again with the project's own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.interpreter import COLLECTED_AFTER

ROOT = Path(__file__).parents[2]
BARE = [sys.executable, "-S"]
"""A Python that finds no installed package."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose stage ``where`` says which Python runs it."""
    (tmp_path / "tasks").mkdir()
    for name in ("__init__.py", "interpreter.py"):
        shutil.copy(ROOT / "tasks" / name, tmp_path / "tasks")
    (tmp_path / "tasks" / "where.py").write_text("print('this Python')\n")
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text('#!/bin/sh\necho "the project\'s: $*"\n')
    interpreter.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([*BARE, "-m", "tasks.where", "row"], "the project's: -S -m tasks.where row\n"),
        ([sys.executable, "-m", "tasks.where", "row"], "this Python\n"),
        ([*BARE, "-c", "import tasks.where"], "this Python\n"),
    ],
    ids=["a stage, by a bare Python", "a stage, by one with the packages", "another program"],
)
def test_a_stage_alone_hands_over_to_the_environment_and_only_where_it_must(
    command: list[str], said: str, project: Path
) -> None:
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == said


def test_an_environment_that_lacks_the_packages_too_is_tried_once(project: Path) -> None:
    interpreter = project / ".venv" / "bin" / "python"
    interpreter.unlink()
    interpreter.symlink_to(sys.executable)
    command = [*BARE, "-m", "tasks.where", "row"]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "this Python\n"


@pytest.mark.parametrize(
    ("command", "seldom"),
    [(["-m", "tasks.where", "row"], True), (["-c", "import tasks.where"], False)],
    ids=["a stage", "another program"],
)
def test_a_stage_alone_looks_less_often_for_unreachable_objects(
    command: list[str], seldom: bool, project: Path
) -> None:
    (project / "tasks" / "where.py").write_text("import gc\nprint(gc.get_threshold())\n")
    done = subprocess.run(
        [sys.executable, *command], cwd=project, capture_output=True, text=True, check=True
    )
    assert (done.stdout == f"{COLLECTED_AFTER}\n") is seldom
