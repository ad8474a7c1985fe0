"""Who cannot write to a workspace can still read what its registry holds."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tasks.promotion.chain import MODEL as CHAINED
from tests.tasks.promotion.scene import MODEL, Scene

ROOT = Path(__file__).parents[3]
AS_ANYBODY = """
import ctypes, os, sys
# Root may write to anything, unless it has given these two up before a program starts.
if os.getuid() == 0:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""


def read(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in the current folder, in which nobody may write meanwhile."""
    folders = [Path(), *(path for path in Path().rglob("*") if not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in folders}
    before = {path: path.stat().st_mtime_ns for path in folders}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        done = subprocess.run(
            [sys.executable, "-c", AS_ANYBODY, program],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert {path: path.stat().st_mtime_ns for path in folders} == before
    return done


def test_history_and_the_list_of_reviews_are_read(reviewed: Scene) -> None:
    done = read(
        "from flows.cli.registry import history\n"
        "from flows.cli.review import list_reviews, show\n"
        f"assert history({MODEL!r}, verify=True) == 0\n"
        "assert list_reviews() == 0\n"
        f"assert show({MODEL!r}) == 0\n"
    )
    assert done.returncode == 0, done.stderr
    assert "Now: candidate 2, champion 1" in done.stdout
    assert "waits for a decision: `downstream review show topics`" in done.stdout
    assert f"{MODEL} version 2 against 1" in done.stdout
    assert "Permission denied. The registry was not compared with the workspace" in done.stderr


def test_lineage_is_read(chain: Path) -> None:
    done = read(f"from flows.cli.lineage import lineage\nassert lineage({CHAINED!r}) == 0\n")
    assert done.returncode == 0, done.stderr
    assert f"{CHAINED} version 1" in done.stdout


def test_what_would_have_to_be_written_is_one_error(reviewed: Scene) -> None:
    done = read(
        "import sys\n"
        "from tasks.errors import Unreachable\n"
        "from tasks.promotion.review.decisions import decide\n"
        "from tasks.promotion.review.store import latest\n"
        f"try: decide(latest({MODEL!r}), 'reject', 'Slow.', 'Ann')\n"
        "except Unreachable as error: sys.exit(str(error))\n"
    )
    assert "attempt to write a readonly database" in done.stderr
    assert "Traceback" not in done.stderr
