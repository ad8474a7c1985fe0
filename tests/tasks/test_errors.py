"""What the operating system refuses is told with its stage, its place and what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from tasks.errors import in_words, is_full
from tasks.stage_process.process import exit_code

ROOT = Path(__file__).parents[2]
WITHOUT_FLOCK = """
import ctypes, platform, struct, sys
FLOCK = {"x86_64": 73, "aarch64": 32}[platform.machine()]
ERRNO, ALLOW = 0x00050000 | 38, 0x7FFF0000
# The system call's number is loaded; flock is answered with ENOSYS, any other is let through.
program = b"".join(struct.pack("HBBI", *line) for line in [
    (0x20, 0, 0, 0), (0x15, 0, 1, FLOCK), (0x06, 0, 0, ERRNO), (0x06, 0, 0, ALLOW)])
code = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", 4, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) == 0, ctypes.get_errno()
"""
"""Has the kernel answer ``flock`` as a file system does that has none."""


def full_disk() -> BinaryIO:
    """Return a file that takes nothing, opened: by its name pyarrow would remove it."""
    return os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", 0)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNSTREAM_DEBUG", raising=False)
    return tmp_path


def test_a_full_disk_is_told_with_the_stage() -> None:
    with (
        pytest.raises(SystemExit, match=r"^error: pretrain@x: no space is left on the disk.*free "),
        exit_code("pretrain@x"),
        full_disk() as file,
    ):
        file.write(b"x")


def test_a_full_disk_is_told_with_the_file_where_it_is_known() -> None:
    text = "No space left on device"
    told = (
        "no space is left on the disk of {}: free some, or let files be larger (ulimit -f), and "
        "run it again; what was recorded is kept"
    )
    assert in_words(OSError(errno.ENOSPC, text, "/a")) == told.format("/a")
    assert in_words(OSError(errno.ENOSPC, text, "/a", None, "/b")) == told.format("/b")


def test_a_full_disk_is_known_behind_the_errors_of_other_libraries() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"a": list(range(100_000))})
    with full_disk() as file, pytest.raises(OSError, match="No space left") as error:
        pq.write_table(table, file)
    assert is_full(error.value)
    told = RuntimeError("I/O error: No space left on device (os error 28)")  # safetensors' text
    assert is_full(told)
    with pytest.raises(ValueError, match="b") as wrapped:
        raise ValueError("b") from OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_full(wrapped.value)
    assert not is_full(ValueError("no space left"))


def test_other_refusals_are_told_with_the_file_alone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Errno 20") as error:
        (tmp_path / "a").touch() or (tmp_path / "a" / "b").read_text()  # type: ignore[func-returns-value]
    assert in_words(error.value) == f"{tmp_path / 'a' / 'b'}: Not a directory"
    assert in_words(OSError("odd")) == "odd"


@pytest.mark.parametrize(
    "lock",
    ["from flows.run.run_lock import active_run as held",
     "from tasks.tracking.store import opened as held"],
)  # fmt: skip
def test_a_file_system_without_locks_is_told_as_one_and_nothing_waits_for_ever(
    workspace: Path, lock: str
) -> None:
    left = workspace / ".downstream" / "mlflow" / "store.lock"
    left.parent.mkdir(parents=True)
    left.touch()
    program = (
        f"{WITHOUT_FLOCK}\n"
        "from tasks.stage_process.process import exit_code\n"
        "with exit_code():\n"
        f"    {lock}\n"
        "    with held(): print('held')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=workspace, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: code: the file system of {workspace}, or of the device")
    assert len(done.stderr.splitlines()) == 1
