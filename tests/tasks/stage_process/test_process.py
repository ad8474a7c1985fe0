"""How a stage process ends after a mistake; the rest of it is tested with whole pipelines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.stage_process.failure import FAILURES
from tasks.stage_process.process import exit_code

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNSTREAM_DEBUG", raising=False)


def test_a_users_mistake_ends_in_one_line_and_is_noted_for_the_flow() -> None:
    with pytest.raises(SystemExit, match=r"^error: too few records$"), exit_code("split@small"):
        raise BadInput("too few records")
    assert '"BadInput"' in (FAILURES / "split@small.json").read_text()


def test_a_device_whose_memory_is_too_small_is_a_users_mistake_too() -> None:
    import torch

    told = (
        r"^error: evaluate@small: the device's memory is too small \(CUDA out of memory\): lower "
    )
    with pytest.raises(SystemExit, match=told), exit_code("evaluate@small"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_other_errors_are_shown_whole() -> None:
    with pytest.raises(ZeroDivisionError), exit_code("evaluate@small"):
        raise ZeroDivisionError


@pytest.mark.parametrize("row", ["--help", "-", "../planted", "a" * 240, ""])
def test_a_name_that_is_no_rows_is_refused_before_anything_is_written(
    tmp_path: Path, row: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.collect", row],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: python -m tasks.collect: the row name ")
    assert len(done.stderr.splitlines()) == 1
    assert not [*tmp_path.iterdir()]
