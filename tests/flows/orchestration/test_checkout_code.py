"""Acting on another checkout with that one's own code."""

import sys
from pathlib import Path

import pytest

import flows.run.schedule
from flows.orchestration.checkout_code import code_of


def test_modules_come_from_the_other_checkout_and_ours_come_back(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("")
    (tmp_path / "flows" / "schedule.py").write_text("WHERE = 'there'\n")
    ours, path, folder = sys.modules["flows.run.schedule"], list(sys.path), Path.cwd()
    with code_of(tmp_path):
        import flows.run.schedule as theirs

        assert theirs.WHERE == "there"  # type: ignore[attr-defined]
        assert Path.cwd() == tmp_path
    assert sys.modules["flows.run.schedule"] is ours is flows.run.schedule
    assert (sys.path, Path.cwd()) == (path, folder)


def test_ours_come_back_after_an_error_there(tmp_path: Path) -> None:
    ours = sys.modules["flows.orchestration.checkout_code"]
    with pytest.raises(ZeroDivisionError), code_of(tmp_path):
        raise ZeroDivisionError
    assert sys.modules["flows.orchestration.checkout_code"] is ours
