"""Checkpoints: whole, of this training, and cheap."""

from pathlib import Path

import pytest
import torch

from tasks.errors import BadInput
from tasks.training import checkpoints
from tasks.training.checkpoints import Checkpoints


def state(step: int) -> dict[str, object]:
    return {
        "step": step,
        "losses": [0.1 + 0.2, 1 / 3],
        "weights": {"layer.weight": torch.full((3, 4), float(step)), "b": torch.arange(2.0)},
        "optimizers": {"model": {0: {"step": torch.tensor(7.0)}}},
        "nothing": {},
    }


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(5, state(5))
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    assert loaded["losses"] == [0.1 + 0.2, 1 / 3]
    assert loaded["weights"]["layer.weight"].equal(torch.full((3, 4), 5.0))
    assert float(loaded["optimizers"]["model"]["0"]["step"]) == 7
    assert loaded["nothing"] == {}


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new").load() is None


def test_the_newest_is_used_and_two_are_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for step in (9, 10, 200):
        kept.save(step, state(step))
    loaded = kept.load()
    assert loaded is not None
    assert loaded["step"] == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000000010.json",
        "step-000000000010.safetensors",
        "step-000000000200.json",
        "step-000000000200.safetensors",
    ]


@pytest.mark.parametrize("damage", ["cut", "altered", "no tensors", "torn json", "foreign"])
def test_one_that_is_not_whole_or_not_ours_is_refused_and_the_one_before_used(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Checkpoints(tmp_path / "mine")
    kept.save(1, state(1))
    kept.save(2, state(2))
    about = tmp_path / "mine" / "step-000000000002.json"
    tensors = about.with_suffix(".safetensors")
    if damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-3])
    elif damage == "altered":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "no tensors":
        tensors.unlink()
    elif damage == "torn json":
        about.write_text(about.read_text()[:20])
    else:
        other = Checkpoints(tmp_path / "other")
        other.save(2, state(2))
        for path in (about, tensors):
            (tmp_path / "other" / path.name).replace(path)
    loaded = kept.load()
    assert loaded is not None
    assert loaded["step"] == 1
    assert "step-000000000002.json: not a whole checkpoint" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"checkpoints cannot be written here \(.*\): make room"):
        Checkpoints(tmp_path / "file" / "model")


def test_what_a_kill_leaves_of_a_checkpoint_goes_with_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".step-000000000003.safetensors.77.tmp").write_bytes(b"half")
    Checkpoints(tmp_path).save(4, state(4))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000000004.json",
        "step-000000000004.safetensors",
    ]


def test_a_disk_too_small_for_all_that_is_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"checkpoints need 3,000,000,000,000 MB, the disk has"):
        Checkpoints(tmp_path).require_room(10**18)


def test_a_disk_that_fills_up_later_costs_the_checkpoint_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Checkpoints(tmp_path / "gone")
    kept.save(1, state(1))
    (tmp_path / "gone").rename(tmp_path / "moved")
    (tmp_path / "gone").write_text("a file stands where the folder was")
    kept.save(2, state(2))
    assert "no checkpoint at step 2" in capsys.readouterr().err


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    return now


def save_in(kept: Checkpoints, seconds: float, now: list[float]) -> None:
    """Save a checkpoint whose writing takes so long."""

    def slow(step: int, state: object) -> None:
        now[0] += seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_write", slow)
        kept.save(1, state(1))


def test_the_next_one_waits_a_hundred_times_as_long_as_the_last_took(
    tmp_path: Path, now: list[float]
) -> None:
    kept = Checkpoints(tmp_path)
    now[0] += checkpoints.SECONDS_BETWEEN - 1
    assert not kept.due
    now[0] += 1
    assert kept.due

    save_in(kept, 3, now)
    assert kept.seconds == 3
    now[0] += 299
    assert not kept.due
    now[0] += 1
    assert kept.due


def test_a_write_that_was_held_up_leaves_at_most_half_an_hour_unsaved(
    tmp_path: Path, now: list[float]
) -> None:
    kept = Checkpoints(tmp_path)
    save_in(kept, 120, now)
    now[0] += 1799
    assert not kept.due
    now[0] += 1
    assert kept.due
