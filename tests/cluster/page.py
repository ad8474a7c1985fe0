"""The commands of docs/servers.md, run as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.postgresql import Postgresql
from tests.servers import free_port, wait_for_answer
from tests.workspace import ROOT

PAGE = (ROOT / "docs/servers.md").read_text()
BLOCKS: dict[str, str] = dict(re.findall(r"```sh\n# tested: ([^\n]+)\n(.*?)```", PAGE, re.DOTALL))
PREFECT_LOGIN = "somebody:something"


def for_servers(postgresql: Postgresql, folder: Path) -> dict[str, str]:
    """Return what the page's servers are told of PostgreSQL, of each other, and of Prefect."""
    return {
        **os.environ,
        **postgresql.environment(),
        "PATH": f"{Path(sys.executable).parent}:{postgresql.environment()['PATH']}",
        "HOST": "127.0.0.1",
        "PREFECT_PORT": str(free_port()),
        "MLFLOW_PORT": str(free_port()),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_API_AUTH_STRING": PREFECT_LOGIN,
    }


def do(block: str, environment: dict[str, str], folder: Path) -> None:
    """Run a block to its end."""
    command = ["/bin/sh", "-e", "-c", BLOCKS[block]]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=300)


@contextmanager
def served(
    block: str, environment: dict[str, str], folder: Path, health: str
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a block that starts a server for as long as the body takes.

    Args:
        block: its name on the page.
        environment: what it is told.
        folder: where it runs, and where its log lies.
        health: an address that answers when it is up.
    """
    with (folder / f"{block}.log").open("ab") as log:
        server = subprocess.Popen(
            ["/bin/sh", "-e", "-c", BLOCKS[block]],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        wait_for_answer(health, server, 240)
        yield server
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)
