"""Programs that end when their starter does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.flows.deployed import wait_for

# Starts `sleep` through flows.servers.child, writes its process id, and waits to be killed.
STARTER = """
import subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-m", "flows.servers.child", "sleep", "600"])
Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def command_of(process_id: int) -> str:
    """Return a process' command line; empty for one that has ended."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_text().replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_it_becomes_the_program_and_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "process"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(told)], start_new_session=True)
    try:
        wait_for(lambda: told.exists() and told.read_text(), bool)
        child = int(told.read_text())
        wait_for(lambda: command_of(child), lambda command: command == "sleep 600")
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    wait_for(lambda: command_of(child), lambda command: not command, seconds=10)
