"""Every file that the stages of a small pipeline open is declared, whatever library opens it.

Python's audit hook does not see what pyarrow, safetensors and tokenizers open in C++ and Rust. The
kernel does: the stages' processes run under ``strace``.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tasks.contracts import paths
from tasks.stage_process.stage_hash import read_inputs
from tasks.stage_process.tracing import undeclared_files
from tests.workspace import Workspace, make_workspace

PYTHON = """#!/bin/sh
case "$1 $2" in
  "-m tasks."*) exec strace -D -ff --seccomp-bpf -qq -y -s 4096 \\
    -e trace=open,openat,openat2 -o "{traces}/${{2#tasks.}}@$3" "{python}" "$@" ;;
  *) exec "{python}" "$@" ;;
esac
"""
"""What ``exec python -m tasks.<stage> ROW`` finds: it writes one file for each thread."""
OPENED = re.compile(r'^open(?:at2?)?\(.*?"(?:[^"\\]|\\.)*", .*?(O_\w+(?:\|\w+)*).*\) = \d+<(.+)>$')
DEFAULT_ROWS = {
    "collect@topics",
    "clean@topics",
    "split@topics",
    "validate@topics",
    "pretrain@topics-bert",
    "finetune@topics-label",
    "evaluate@topics-label",
}
UNSEEN = """
import pyarrow.parquet
pyarrow.parquet.read_schema("notes" + ".parquet")
"""


def repro_traced(workspace: Workspace, target: str) -> dict[str, set[str]]:
    """Run ``dvc repro``, and return by stage the absolute paths of what it opened for reading."""
    traces, tools = workspace.root.parent / "traces", workspace.root.parent / "tools"
    shutil.rmtree(traces, ignore_errors=True)
    for folder in (traces, tools):
        folder.mkdir(exist_ok=True)
    python = tools / "python"
    python.write_text(PYTHON.format(traces=traces, python=sys.executable))
    python.chmod(0o755)
    path = f"PATH={tools}{os.pathsep}{workspace.environment()['PATH']}"
    done = workspace.run("env", path, "dvc", "repro", target)
    assert done.returncode == 0, done.stdout + done.stderr
    opened: dict[str, set[str]] = {}
    for trace in traces.iterdir():
        found = map(OPENED.match, trace.read_text().splitlines())
        files = {match[2] for match in found if match and is_read(match[1])}
        opened.setdefault(trace.name.rpartition(".")[0], set()).update(files)
    return opened


def is_read(flags: str) -> bool:
    """Tell whether a file is opened with these flags, and for more than writing."""
    return not {"O_WRONLY", "O_DIRECTORY", "O_PATH"} & {*flags.split("|")}


def undeclared(opened: set[str], name: str) -> list[str]:
    """Return what no identity of the stage in the current directory names."""
    code = paths.code(*name.split("@")).read_text()
    return undeclared_files(str(Path.cwd()), opened, name, read_inputs(name), code)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, set[str]]]:
    """A workspace of which the stages of texts have run, and what they opened."""
    workspace = make_workspace(tmp_path_factory.mktemp("opened").resolve() / "workspace")
    workspace.edit("params.yaml", "training: {epochs: 2}", "training: {epochs: 1}")
    workspace.edit("params.yaml", "finetune: {epochs: 2, tokens", "finetune: {epochs: 1, tokens")
    return workspace, repro_traced(workspace, "evaluate@topics-label")


def test_no_stage_opens_a_file_of_the_workspace_that_its_identity_does_not_name(
    traced: tuple[Workspace, dict[str, set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, opened = traced
    monkeypatch.chdir(workspace.root)
    assert opened.keys() >= DEFAULT_ROWS
    found = {name: undeclared(opened[name], name) for name in DEFAULT_ROWS}
    assert not any(found.values()), found


def test_what_pyarrow_safetensors_and_tokenizers_open_is_seen(
    traced: tuple[Workspace, dict[str, set[str]]],
) -> None:
    workspace, opened = traced
    read = {
        name: {path.removeprefix(f"{workspace.root}/data/") for path in found}
        for name, found in opened.items()
    }
    assert {"split/topics/train.parquet", "split/topics/validation.parquet"} <= read[
        "pretrain@topics-bert"
    ]
    model = "pretrain/topics-bert/model"
    assert {f"{model}/model.safetensors", f"{model}/tokenizer.json"} <= read[
        "finetune@topics-label"
    ]
    assert "split/topics/test.parquet" in read["evaluate@topics-label"]
    assert "split/topics/test.parquet" not in read["finetune@topics-label"]


def test_a_file_that_pyarrow_alone_opens_is_told(
    traced: tuple[Workspace, dict[str, set[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = traced[0].copy(tmp_path.resolve() / "workspace")
    monkeypatch.chdir(workspace.root)
    shutil.copy("data/split/topics/test.parquet", "notes.parquet")
    stage = Path("tasks/split/stage.py")
    stage.write_text(stage.read_text().replace("\ndef ", f"\n{UNSEEN}\n\ndef ", 1))
    opened = repro_traced(workspace, "split@topics")["split@topics"]
    assert undeclared(opened, "split@topics") == ["notes.parquet"]
