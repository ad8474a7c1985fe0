"""What is edited after a stage has ended, before DVC has hashed again what it was made from."""

from tests.workspace import Workspace

STAGE = "split@topics"
COMMAND = "cmd: exec python -m tasks.split ${key}"


def test_a_seed_of_the_last_second_is_found_and_mended(workspace: Workspace) -> None:
    # The second command edits between the stage's end and DVC's look at params.yaml.
    edit = "sed -i s/^seed..0/seed:\\ 1/ params.yaml"
    workspace.edit(
        "dvc.yaml", COMMAND, f"cmd:\n      - python -m tasks.split ${{key}}\n      - {edit}"
    )
    assert STAGE in workspace.repro(STAGE)
    entry = workspace.lock()["stages"][STAGE]
    assert entry["params"]["params.yaml"]["seed"] == 1
    assert [
        reason
        for stage in workspace.plan()
        for reason in stage["reasons"]
        if stage["name"] == STAGE
    ] == [{"kind": "param", "what": "seed", "old": 0, "new": 1}]
    assert workspace.repro(STAGE) == {STAGE}
    mended = workspace.lock()["stages"][STAGE]
    assert mended["params"] == entry["params"]
    assert mended["outs"] != entry["outs"]
    assert STAGE not in workspace.stale()
