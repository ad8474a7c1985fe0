"""What a stage has really read is held against what its identity names."""

import timeit
from pathlib import Path

import pytest

from tasks.stage_process.stage_hash import Inputs
from tasks.stage_process.tracing import EXEMPT, Trace
from tests.workspace import Workspace

NAME = "finetune@m"
INPUTS = Inputs(
    "0" * 64, True, {}, {"data/split/a/train.parquet": "1", "data/pretrain/b/model": "2"}
)
CODE = "settings {}\ntasks.net 1\ntasks/net.md.j2 2\ndata/sources/my%20bert 3\n./top.json 4\n"


def test_exempt_places_have_reasons() -> None:
    assert all(EXEMPT.values())


def test_files_that_python_opens_are_told_unless_something_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = (
        "data/split/a/train.parquet", "data/pretrain/b/model/config.json", "tasks/net.md.j2",
        "data/sources/my bert/vocab.txt", "data/finetune/m/labels.json", ".downstream/cache",
        ".git/HEAD", "params.yaml", "top.json", "tasks/tracking/page.html", "tasks/net.py",
    )  # fmt: skip
    others = ("data/split/a/test.parquet", "notes.txt", "tasks/words.json")
    for path in (*declared, *others, "written"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("text")
    trace = Trace(tmp_path)
    for path in (*declared, *others):
        assert Path(path).read_text() == "text"
    Path("written").write_text("only")
    assert Path(__file__).read_text()  # it lies elsewhere
    assert trace.undeclared(NAME, INPUTS, CODE) == sorted(others)


def test_a_snapshots_file_counts_as_the_repositorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("tasks/words.json", ".downstream/snapshots/ab/tasks/words.json"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("{}")
    trace = Trace(tmp_path)
    assert Path(".downstream/snapshots/ab/tasks/words.json").read_text() == "{}"
    assert trace.undeclared(NAME, INPUTS, CODE) == ["tasks/words.json"]
    assert trace.undeclared(NAME, INPUTS, f"{CODE}tasks/words.json 4\n") == []


READS = """
import importlib
from pathlib import Path
getattr(importlib, "import_" + "module")("tasks.split." + "quiet")
Path("notes" + ".txt").read_text()
"""


def test_a_result_that_has_read_what_nothing_names_is_kept_aside_and_can_be_accepted(
    workspace: Workspace,
) -> None:
    stage = workspace.root / "tasks/split/stage.py"
    lock = workspace.lock()["stages"]["split@topics"]
    (workspace.root / "tasks/split/quiet.py").write_text("QUIET = True\n")
    (workspace.root / "notes.txt").write_text("text")
    text = stage.read_text()
    stage.write_text(text.replace("\ndef ", f"\n{READS}\n\ndef ", 1))
    for _ in range(2):
        done = workspace.run("dvc", "repro", "split@topics")
        assert done.returncode != 0
        assert (
            "error: split@topics: its result is kept aside and not recorded: it has read "
            "tasks.split.quiet, notes.txt, which neither"
        ) in done.stderr
    assert workspace.lock()["stages"]["split@topics"] == lock
    accept = ("downstream", "accept", "split@topics", "--reason", "it reads it for fun")
    done = workspace.run(*accept)
    assert done.returncode == 0, done.stderr
    assert "split@topics: accepted, though it has read tasks.split.quiet, notes.txt" in done.stderr
    done = workspace.run("dvc", "repro", "split@topics")
    assert done.returncode == 0, done.stderr
    assert "taken over" in done.stdout + done.stderr
    assert workspace.lock()["stages"]["split@topics"]["outs"] == lock["outs"]


def test_listening_costs_little(tmp_path: Path) -> None:
    trace = Trace(tmp_path)
    arguments = ("file", "r", 0)
    seconds = timeit.timeit(lambda: trace._hear("open", arguments), number=10_000) / 10_000
    assert seconds < 20e-6
