"""No room on the disk, or a clock that is set back: one line, and the next command ends as ever.

Inside a stage and its record here; inside an approval in ``tests/security/test_disturbed_reviews``.
"""

import shutil
from typing import Any

import pytest

from tests.flows.stage_pipeline import StagePipeline
from tests.flows.test_kills import changed, lock_after, undisturbed

__all__ = ["changed", "undisturbed"]

LARGE = ("models.m.finetune.copies", 32_000)
"""The weights of ``finetune@m`` have a megabyte."""
NO_SPACE = "no space is left on the disk"
OWN_DISKS = ("unshare", "--user", "--map-root-user", "--mount")
SMALL_DISK = """
mount -t tmpfs -o size=64m tmpfs "$1" && cp -a "$2"/. "$1" && cd "$1" || exit 9
after=$3; head -c $(($(df --output=avail -B1 . | tail -1) - $4)) /dev/zero > filler; shift 4
"$@"; code=$?
rm filler; cp -a . "$after"; exit $code
"""
"""The disk exists for one command alone; what lies on it at the end is copied away."""


@pytest.fixture(scope="module")
def large(
    tmp_path_factory: pytest.TempPathFactory, reproduced_stages: StagePipeline
) -> dict[str, Any]:
    """The lock of a run with large weights that nobody disturbed."""
    return lock_after(LARGE, reproduced_stages, tmp_path_factory.mktemp("large"))


@pytest.mark.parametrize(
    ("room", "where"),
    [
        (0, "error: code: DVC cannot read or record it: "),
        (500_000, "error: finetune@m: "),
        (1_500_000, "error: finetune@m: DVC cannot read or record it: "),
    ],
)
def test_a_disk_that_is_full_costs_no_stage(
    staged: StagePipeline,
    prefect_api: str,
    large: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    room: int,
    where: str,
) -> None:
    staged.change(*LARGE)
    small, after = (str(tmp_path_factory.mktemp(name)) for name in ("small", "after"))
    under = (*OWN_DISKS, "bash", "-c", SMALL_DISK, "bash", small, str(staged.root), after)
    full = staged.downstream("run", api=prefect_api, under=(*under, str(room)))
    assert full.returncode == 1, full.stderr
    assert f"{where}{NO_SPACE}" in full.stderr
    assert "Traceback" not in full.stderr
    staged.wait_for_silence()
    for path in staged.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(after, staged.root, symlinks=True, dirs_exist_ok=True)
    ran_before = staged.begun()
    done = staged.downstream("run", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert staged.lock() == large
    # What was made before its record did not fit is not made again.
    assert (ran_before + staged.begun()).count("finetune@m") == (2 if room == 500_000 else 1)


def test_a_file_that_may_not_grow_is_one_line(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any]
) -> None:
    under = ("prlimit", "--fsize=0", "--")
    limited = changed.downstream("run", api=prefect_api, under=under)
    assert limited.returncode == 1
    assert len(limited.stderr.splitlines()) == 1
    assert limited.stderr.startswith(f"error: {NO_SPACE}")
    assert changed.downstream("run", api=prefect_api).returncode == 0
    assert changed.lock() == undisturbed


def test_a_clock_that_is_set_back_changes_nothing(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any]
) -> None:
    done = changed.downstream("run", api=prefect_api, under=("faketime", "-f", "-400d"))
    assert done.returncode == 0, done.stderr
    assert changed.lock() == undisturbed
    assert changed.downstream("plan", "--check").returncode == 0
    assert "0 ran, 0 restored, 8 fresh" in changed.downstream("run", api=prefect_api).stdout
