"""What is edited after a stage has ended, before DVC has hashed again what it was made from."""

from typing import Any

from tests.workspace import Workspace

RUN = """
import sys
from flows.plan.fingerprints import current_codes
from flows.run.session import Options, Session
session = Session(Options((sys.argv[1],)), current_codes())
print([session.perform(stage.name, print) for stage in session.stages])
session.end()
"""


def edit_at_the_end(workspace: Workspace, stage: str, command: str) -> None:
    """Let a command edit something between a stage's end and DVC's look at its inputs."""
    (workspace.root / "edit.sh").write_text(command)
    own = f"python -m tasks.{stage} ${{key}}"
    workspace.edit("dvc.yaml", f"cmd: exec {own}", f"cmd:\n      - {own}\n      - sh edit.sh")


def reasons(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """Return why a stage is not fresh."""
    return [
        reason for stage in workspace.plan() for reason in stage["reasons"] if stage["name"] == name
    ]


def test_a_seed_of_the_last_second_is_found_and_mended(workspace: Workspace) -> None:
    stage = "split@topics"
    edit_at_the_end(workspace, "split", "sed -i 's/^seed: 0/seed: 1/' params.yaml")
    assert stage in workspace.repro(stage)
    wrong = workspace.lock()["stages"][stage]
    assert wrong["params"]["params.yaml"]["seed"] == 1
    assert reasons(workspace, stage) == [{"kind": "param", "what": "seed", "old": 0, "new": 1}]
    assert workspace.repro(stage) == {stage}
    mended = workspace.lock()["stages"][stage]
    assert mended["params"] == wrong["params"]
    assert mended["outs"] != wrong["outs"]
    assert reasons(workspace, stage) == []


def test_an_input_file_of_the_last_second_is_found_and_mended(workspace: Workspace) -> None:
    stage, source = "collect@topics", "data/sources/topics"
    edit_at_the_end(workspace, "collect", f"sed -i 2d {source}/topics.csv")
    assert stage in workspace.repro(stage)
    wrong = workspace.lock()["stages"][stage]
    (told,) = reasons(workspace, stage)
    assert (told["kind"], told["what"], told["misrecorded"]) == ("data", source, True)
    done = workspace.run("python", "-m", "tasks.clean", "topics")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {stage}: recorded in dvc.lock with {source} as edited in its last second, but "
        "made with what was there before: `downstream run` runs it again\n"
    )
    (workspace.root / "edit.sh").write_text("")
    done = workspace.run("python", "-c", RUN, stage)
    assert done.returncode == 0, done.stderr
    mended = workspace.lock()["stages"][stage]
    assert mended["deps"] == wrong["deps"]
    assert mended["outs"] != wrong["outs"]
    assert reasons(workspace, stage) == []
