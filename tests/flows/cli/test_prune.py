"""What ``downstream clean`` says it removes; see ``test_app.py`` for the command."""

from pathlib import Path

import pytest

from flows.cli.prune import show_removals
from flows.upkeep.prune import Removal


def test_the_table_says_what_why_and_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    removals = [
        Removal(Path("data/finetune/n"), "its row is gone from params.yaml", 1_500),
        Removal(Path(".downstream/work/x"), "left by a process that has ended", 20),
    ]
    show_removals(["finetune@n"], removals, dry_run=True)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "what size why",
        "finetune@n in dvc.lock - its row is gone from params.yaml",
        "data/finetune/n 1.5 kB its row is gone from params.yaml",
        ".downstream/work/x 20 B left by a process that has ended",
        "",
        "Would be removed: 1 records, 2 files and folders, 1.5 kB.",
    ]


def test_where_nothing_goes_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_removals([], [], dry_run=False)
    assert capsys.readouterr().out == "Nothing to remove.\n"
