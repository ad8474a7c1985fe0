"""Servers that are started, watched and stopped together, shown with cheap ones."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.servers.supervisor import Server, require_free, running
from tasks.errors import DownstreamError
from tests.flows.deployed import wait_for
from tests.flows.servers.test_child import command_of

# Ends with its own word, so that a test can see that it was asked to.
PATIENT = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(600)
"""
# `up` with cheap servers; writes their process ids.
UP = """
import sys
from pathlib import Path
from flows.servers.supervisor import running
from tests.flows.servers.test_supervisor import program
with running() as servers:
    servers.start(program("one"))
    servers.start(program("two"))
    ids = [str(process.pid) for _, process in servers._running]
    Path("ids").write_text(" ".join(ids))
    servers.watch()
"""


def program(name: str, script: str = PATIENT) -> Server:
    return Server(name, [sys.executable, "-c", script], says_ready)


def watch(*programs: Server) -> None:
    """Do what ``up`` does."""
    with running() as servers:
        for each in programs:
            servers.start(each)
        servers.watch()


def says_ready(server: Server) -> bool:
    return "ready" in server.log.read_text()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_are_asked_to_end_at_the_end() -> None:
    with running() as servers:
        servers.start(program("one"))
        servers.start(program("two"))
    logs = [Path(f".downstream/logs/{name}.log").read_text() for name in ("one", "two")]
    assert logs == ["ready\nasked to end\n"] * 2


def test_if_one_ends_by_itself_the_error_names_its_log_and_the_others_are_stopped() -> None:
    short = "print('ready', flush=True); import time, sys; time.sleep(1); sys.exit(3)"
    with pytest.raises(DownstreamError) as error:
        watch(program("one"), program("two", short))
    assert str(error.value) == (
        "two has ended (exit code 3), so the others were stopped: see .downstream/logs/two.log"
    )
    assert "asked to end" in Path(".downstream/logs/one.log").read_text()


def test_one_that_ends_before_it_answers_is_an_error_at_once() -> None:
    with pytest.raises(DownstreamError, match=r"bad has ended \(exit code 4\)"), running() as all_:
        all_.start(program("bad", "import sys; sys.exit(4)"))


def test_one_that_does_not_end_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.servers.supervisor.STOP_TIMEOUT_SECONDS", 0.5)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    with running() as servers:
        servers.start(program("deaf", deaf))
        ((_, process),) = servers._running
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_starter_ends_no_server_is_left(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    starter = subprocess.Popen(
        [sys.executable, "-c", UP], env=environment, start_new_session=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ids = wait_for(lambda: Path("ids").exists() and Path("ids").read_text(), bool).split()
    starter.send_signal(number)
    starter.wait(30)
    wait_for(lambda: [command_of(int(each)) for each in ids], lambda seen: seen == ["", ""])


def test_a_taken_port_is_told_with_the_flag_that_changes_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DownstreamError) as error:
            require_free({"--prefect-port": port})
    assert str(error.value) == (
        f"--prefect-port {port}: cannot listen on 127.0.0.1:{port} (Address already in use): stop "
        "what does, or choose another with --prefect-port"
    )


def test_one_port_for_two_and_no_port_at_all_are_told() -> None:
    with pytest.raises(DownstreamError, match="--a and --b are both 4200: choose two ports"):
        require_free({"--a": 4200, "--b": 4200})
    with pytest.raises(DownstreamError, match="no port number: 1 to 65535"):
        require_free({"--a": 70000})
