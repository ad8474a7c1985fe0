"""What is kept of a finished result, and for how long."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.stage_process import kept_results

NAME = "finetune@m"


@pytest.fixture(autouse=True)
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "output"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_text("1 2 3")
    return folder


def kept_files() -> list[str]:
    folder = kept_results.FINISHED / NAME
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_result_is_kept_as_links_and_taken_over_with_its_record(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {"metrics": {"loss": [1, 2]}, "seconds": 3.5})
    assert kept_files() == ["hash/output/model/weights", "hash/record.json"]
    assert (output / "model" / "weights").stat().st_nlink == 2
    (output / "model" / "weights").unlink()
    place = Path("work")
    assert kept_results.take(NAME, "hash", place) == {"metrics": {"loss": [1, 2]}, "seconds": 3.5}
    assert (place / "model" / "weights").read_text() == "1 2 3"


def test_a_result_of_other_inputs_is_not_taken(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    assert kept_results.take(NAME, "other", Path("work")) is None
    assert not Path("work").exists()


def test_a_torn_result_is_never_taken(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    whole = kept_results.FINISHED / NAME / "hash"
    whole.rename(whole.with_name(".hash.123"))
    assert kept_results.take(NAME, "hash", Path("work")) is None
    (whole / "output").mkdir(parents=True)
    assert kept_results.take(NAME, "hash", Path("work")) is None
    (whole / "record.json").write_text('{"files": {"model/wei')
    assert kept_results.take(NAME, "hash", Path("work")) is None


def test_a_result_that_was_edited_meanwhile_is_not_taken(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    (output / "model" / "weights").write_text("9 9 9 9")
    assert kept_results.take(NAME, "hash", Path("work")) is None


def test_where_links_are_not_possible_files_are_copied(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    kept_results.keep(NAME, "hash", output, {})
    (output / "model" / "weights").write_text("9 9 9 9")
    assert kept_results.take(NAME, "hash", Path("work")) == {}
    assert Path("work/model/weights").read_text() == "1 2 3"


def test_a_full_disk_costs_a_warning_and_not_the_result(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept_results.FINISHED.parent.mkdir()
    kept_results.FINISHED.write_text("a file where a folder should be")
    kept_results.keep(NAME, "hash", output, {})
    assert capsys.readouterr().err.startswith("warning: finetune@m: its result could not be kept")
    assert (output / "model" / "weights").exists()


def test_what_the_lock_has_is_removed_with_its_checkpoints(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    kept_results.checkpoint_folder(NAME, "hash").mkdir(parents=True)
    assert kept_results.names() == [NAME]
    kept_results.sweep(NAME, recorded="hash")
    assert kept_results.names() == []


def test_what_the_lock_does_not_have_stays(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    kept_results.checkpoint_folder(NAME, "hash").mkdir(parents=True)
    kept_results.sweep(NAME, recorded=None)
    kept_results.sweep(NAME, recorded="other")
    assert kept_results.has(NAME, "hash")
    assert kept_results.checkpoint_folder(NAME, "hash").is_dir()


def test_of_other_inputs_the_newest_three_stay_and_torn_ones_go(output: Path) -> None:
    for age, name in enumerate(["e", "d", "c", "b", "a"]):
        folder = kept_results.checkpoint_folder(NAME, name)
        folder.mkdir(parents=True)
        os.utime(folder, (1000 + age, 1000 + age))
    (kept_results.CHECKPOINTS / NAME / ".f.12").mkdir()
    kept_results.sweep(NAME, recorded=None, current="e")
    assert sorted(path.name for path in (kept_results.CHECKPOINTS / NAME).iterdir()) == [
        "a", "b", "c", "e",
    ]  # fmt: skip


def test_a_forced_stage_starts_from_nothing_unless_it_is_running(output: Path) -> None:
    kept_results.keep(NAME, "hash", output, {})
    kept_results.LOCKS.mkdir()
    with FileLock(kept_results.work_lock(NAME)):
        kept_results.forget([NAME])
        assert kept_results.has(NAME, "hash")
    kept_results.forget([NAME, "clean@never-ran"])
    assert kept_results.names() == []
