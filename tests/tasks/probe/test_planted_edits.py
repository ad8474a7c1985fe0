"""Planted edits are really run, in full length and in small: nothing that acts late is cleared."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.planted import whole
from tasks.contracts import paths
from tasks.probe.changes import Tree, not_shown
from tasks.probe.probe import Probe, probe, short_run
from tasks.probe.workspace import Subject
from tests.planted_edits import CONVNET, DIGITS, EDITS, PlantedEdit
from tests.tasks.probe.conftest import ROOT
from tests.workspace import PARAMS

ROWS = yaml.safe_load(PARAMS)
INTERRUPT_AT = 7
"""Of the 15 steps of the backbone in full length."""
CHOSEN = [
    edit
    for edit in EDITS
    if edit.row in (CONVNET, DIGITS)
    and (edit.late or edit.name == "the same sum, written otherwise")
]


class Digits:
    """The rows of images, with the code as it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        backbone = root / paths.stage_output(*CONVNET.split("@"))
        self.whole = {CONVNET: self.run(CONVNET, ROOT / "tasks", keep=backbone)}
        self.whole[DIGITS] = self.run(DIGITS, ROOT / "tasks")
        self.probe = cache(lambda row: probe(self.subject(row), ROOT / "tasks", {}))

    def subject(self, row: str, **size: Any) -> Subject:
        stage, _, name = row.partition("@")
        return Subject(stage, name, ROWS, self.root, **size)

    def run(
        self, row: str, code: Path, interrupt_at: int = 0, keep: Path | None = None
    ) -> dict[str, str]:
        """Return the hashes of what a row gives in its full length."""
        size = whole(ROWS, *row.split("@"), interrupt_at)
        return short_run(self.subject(row, size=size), code, keep)["files"]


@pytest.fixture(scope="module")
def digits_rows(workspace: Path) -> Digits:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        return Digits(workspace)


def tree(root: Path, edit: PlantedEdit, made: Probe) -> Tree:
    """Return the state of the edited module."""
    module = edit.file.removesuffix(".py").replace("/", ".")
    return Tree({module: (root / edit.file).read_text()}, made.executed)


@pytest.mark.parametrize("edit", CHOSEN, ids=[edit.name for edit in CHOSEN])
def test_a_real_run_gives_other_bytes_where_the_table_says_so_and_the_probe_sees_it(
    edit: PlantedEdit, digits_rows: Digits, code: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(digits_rows.root)
    edited = code()
    edit.apply(edited.parent)
    interrupt_at = INTERRUPT_AT if edit.late == "resume" else 0
    # A training that was stopped gives the bytes of one that was not, but for what the edit does.
    after = digits_rows.run(edit.row, edited, interrupt_at)
    assert (after != digits_rows.whole[edit.row]) == edit.changes_bytes
    old, new = digits_rows.probe(edit.row), probe(digits_rows.subject(edit.row), edited, {})
    assert (new.files != old.files) == edit.changes_bytes
    if not edit.changes_bytes:
        assert not_shown(tree(ROOT, edit, old), tree(edited.parent, edit, new)) == []


def test_four_of_the_five_late_edits_are_among_them() -> None:
    late = [edit.late for edit in CHOSEN if edit.late]
    assert late == ["the last step", "an epoch's end", "resume", "saving"]
