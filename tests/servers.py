"""What every server that a test starts needs: a port, and to be waited for."""

import socket
import subprocess
import time
from typing import Any

import requests


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_for_answer(address: str, server: "subprocess.Popen[Any]", seconds: float) -> None:
    """Wait until a server answers at an address.

    Args:
        address: of a page that it gives when it is up.
        server: its process; nothing is waited for once that has ended.
        seconds: the longest.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            requests.get(address, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{address} does not answer; its server's code: {server.poll()}")
