"""What stands for a cluster here: servers that these tests start themselves, and end again."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.postgresql import Postgresql
from tests.cluster.slurm_cluster import SlurmCluster
from tests.flows.conftest import prefect_api, reproduced_stages, staged
from tests.servers import free_port, wait_for_answer

__all__ = ["prefect_api", "reproduced_stages", "staged"]

os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - moto's server takes any
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
)


class S3Server:
    """A server of moto's, which keeps what it is given in memory; it can be paused and ended."""

    def __init__(self, log: Path) -> None:
        self._log, self.port = log, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it with nothing in it."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_answer(f"{self.address}/moto-api/", self.process, 120)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)

    def client(self) -> "object":
        """Return boto3's client for it."""
        import boto3

        return boto3.client("s3", endpoint_url=self.address)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server, one for all tests."""
    server = S3Server(tmp_path_factory.mktemp("s3") / "server.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server, one for all tests."""
    server = Postgresql(free_port())
    yield server
    server.remove()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A SLURM of two nodes, one for all tests."""
    # In a short folder: the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = SlurmCluster(Path(folder), (free_port(), free_port(), free_port()))
        yield cluster
        cluster.stop()
