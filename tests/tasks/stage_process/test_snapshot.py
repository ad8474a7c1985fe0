"""A stage runs the code that its identity was taken of, whatever becomes of the repository's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tasks.stage_process import snapshot
from tests.workspace import ROOT, Workspace

STAGE = "split@topics"
CODE = "tasks/split/stage.py"
# What comes after this in a module: it puts the old text back, and makes another result.
OTHER_CODE = """
import shutil
if {back}:
    shutil.copy("code-a", "tasks/split/stage.py")
_run = run
def run(records, output, settings, seed):
    return _run(records, output, settings, seed + 1)
"""


def start(workspace: Workspace, *command: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=workspace.root,
        env={**workspace.environment(), "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def entry(workspace: Workspace) -> dict[str, Any]:
    return workspace.lock()["stages"][STAGE]


@pytest.mark.parametrize("back", [True, False], ids=["and back again", "and left so"])
def test_code_that_is_edited_while_a_stage_waits_for_its_device_does_not_reach_its_result(
    workspace: Workspace, back: bool
) -> None:
    recorded = entry(workspace)
    original = (workspace.root / CODE).read_text()
    (workspace.root / "code-a").write_text(original)
    with FileLock(workspace.root / ".downstream" / "devices" / "cpu.lock"):
        process = start(workspace, "dvc", "repro", "--force", "--single-item", STAGE)
        assert process.stdout is not None
        for line in process.stdout:
            if "waiting for" in line:
                break
        (workspace.root / CODE).write_text(original + OTHER_CODE.format(back=back))
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert entry(workspace) == recorded


def test_a_parameter_that_is_edited_while_a_stage_waits_ends_it_before_it_begins(
    workspace: Workspace,
) -> None:
    with FileLock(workspace.root / ".downstream" / "devices" / "cpu.lock"):
        process = start(workspace, "python", "-m", "tasks.split", "topics")
        assert process.stdout is not None
        assert "waiting for" in process.stdout.readline()
        workspace.edit("params.yaml", "test: 0.25", "test: 0.3")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert (
        "error: split@topics: changed while running: corpora.topics.split\n"
        "Nothing of it has run yet: run again"
    ) in printed


MAIN = """
import multiprocessing
from pathlib import Path

from tasks.names import early

if __name__ == "__main__":
    for name in ("early", "late"):
        Path(f"tasks/names/{name}.py").write_text("raise SystemExit('edited')")
    Path("tasks/__init__.py").write_text("raise SystemExit('edited')")
    process = multiprocessing.get_context("spawn").Process(target=early.tell)
    process.start()
    process.join()
    from tasks.names import late
    late.fail()
"""
EARLY = """
def tell():
    from tasks.names import late
    print(late.NAME, flush=True)
"""
LATE = """
NAME = "as it was"
def fail():
    raise KeyError
"""


def test_later_imports_and_child_processes_have_the_same_code_and_tracebacks_the_own_paths(
    tmp_path: Path,
) -> None:
    names = ("__init__", "interpreter", "stage_process/__init__", "stage_process/snapshot")
    for name in (f"{name}.py" for name in names):
        (tmp_path / "tasks" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tasks" / name, tmp_path / "tasks" / name)
    (tmp_path / "tasks" / "names").mkdir()
    for name, text in {"__main__": MAIN, "early": EARLY, "late": LATE}.items():
        (tmp_path / "tasks" / "names" / f"{name}.py").write_text(text)
    done = Workspace(tmp_path).run("python", "-m", "tasks.names")
    assert done.stdout == "as it was\n"
    assert f'File "{tmp_path}/tasks/names/late.py", line 4, in fail\n' in done.stderr
    assert ".downstream" not in done.stderr


def snapshots(workspace: Workspace) -> Path:
    return workspace.root / snapshot.SNAPSHOTS


def test_debugging_runs_in_place(workspace: Workspace) -> None:
    before = sorted(snapshots(workspace).iterdir())
    code = (workspace.root / CODE).read_text()
    (workspace.root / CODE).write_text(f"{code}# A remark.\n")
    process = start(workspace, "python", "-m", "tasks.split", "topics", DOWNSTREAM_DEBUG="1")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert sorted(snapshots(workspace).iterdir()) == before


def tree(root: Path) -> Path:
    for name, text in {"__init__.py": "", "a.py": "A = 1\n", "a.md.j2": "a", "b/b.py": ""}.items():
        path = root / "tasks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "tasks"


def test_one_state_of_the_tree_is_copied_once_with_all_that_lies_beside_the_modules(
    tmp_path: Path,
) -> None:
    tasks = tree(tmp_path)
    (tasks / "__pycache__").mkdir()
    (tasks / "__pycache__" / "a.pyc").write_text("bytecode")
    folder = snapshot.take(tmp_path)
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert copied == {"tasks/__init__.py", "tasks/a.py", "tasks/a.md.j2", "tasks/b/b.py"}
    assert snapshot.take(tmp_path) == folder
    (tasks / "a.md.j2").write_text("b")
    assert snapshot.take(tmp_path) != folder
    assert len(list((tmp_path / snapshot.SNAPSHOTS).iterdir())) == 2


def test_the_next_snapshot_has_the_bytecode_of_what_did_not_change(tmp_path: Path) -> None:
    tasks = tree(tmp_path)
    (tasks / "code").mkdir()
    (tasks / "code" / "__main__.py").write_text("from tasks import a\n")
    first = snapshot.take(tmp_path)
    command = [sys.executable, "-m", "compileall", "-q", str(first)]
    subprocess.run(command, check=True)
    (tasks / "b" / "b.py").write_text("B = 2\n")
    second = snapshot.take(tmp_path)
    old, new = ({path.name for path in folder.rglob("*.pyc")} for folder in (first, second))
    assert {name.partition(".")[0] for name in old - new} == {"b"}
    inodes = [folder.joinpath("tasks", "a.py").stat().st_ino for folder in (first, second)]
    assert inodes[0] == inodes[1]


def test_a_clone_never_runs_the_code_of_another(workspace: Workspace, tmp_path: Path) -> None:
    other = workspace.copy(tmp_path / "other")
    for command in (["dvc", "repro"], ["python", "-m", "tasks.code"]):
        process = start(workspace, *command, PYTHONSAFEPATH="1", PYTHONPATH=os.fspath(other.root))
        printed, _ = process.communicate(timeout=120)
        assert process.returncode != 0
        assert (
            f"error: Python imports {other.root}/tasks, not the code of {workspace.root}: unset "
            "PYTHONSAFEPATH"
        ) in printed
