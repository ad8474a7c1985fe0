"""Forty planted edits, each judged by the fingerprint of the row that it concerns."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tasks.fingerprint.rows import fingerprint, fingerprints
from tests.planted_edits import CHANGING, EDITS, HARMLESS, PlantedEdit
from tests.workspace import PARAMS, ROOT

ROWS = yaml.safe_load(PARAMS)


def test_there_are_twenty_of_each_and_five_act_late() -> None:
    assert (len(CHANGING), len(HARMLESS)) == (20, 20)
    assert all(edit.changes_bytes for edit in CHANGING)
    assert not any(edit.changes_bytes for edit in HARMLESS)
    assert sum(bool(edit.late) for edit in CHANGING) == 5
    assert max(Counter(edit.name for edit in EDITS).values()) == 1


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "tasks", root / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(copied: Path) -> dict[str, str]:
    return fingerprints(ROWS, copied)


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_no_row_whose_bytes_change_stays_fresh_and_what_is_forgiven_is(
    edit: PlantedEdit, copied: Path, before: dict[str, str]
) -> None:
    text = (copied / edit.file).read_bytes()
    try:
        edit.apply(copied)
        after = new_fingerprint(edit, copied)
    finally:
        (copied / edit.file).write_bytes(text)
    assert (after != before[edit.row]) == edit.is_seen


def new_fingerprint(edit: PlantedEdit, root: Path) -> str:
    """Return the row's fingerprint with the edited code."""
    stage, row = edit.row.split("@")
    if not edit.file.endswith("settings.py"):
        return fingerprint(ROWS, stage, row, root)
    # What the settings resolve to is computed by the edited code itself.
    code = (
        "import json, sys; from pathlib import Path; from tasks.fingerprint.rows import fingerprint"
        "\nprint(fingerprint(json.loads(sys.argv[1]), *sys.argv[2:], Path.cwd()), end='')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, json.dumps(ROWS), stage, row],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_an_edit_that_the_code_has_left_behind_is_told(tmp_path: Path) -> None:
    edit = PlantedEdit("gone", "clean@a", "a.py", "x = 1", "x = 2", True)
    (tmp_path / "a.py").write_text("y = 1")
    with pytest.raises(ValueError, match=r"'gone': a\.py holds 0 times 'x = 1'"):
        edit.apply(tmp_path)
