"""Two nodes, played by two network namespaces: a rank that is lost on one costs no byte."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.contracts import files
from tasks.training.spread.nodes import COMMAND, NODES

ROOT = Path(__file__).parents[2]
SCRIPT = "tests.cluster.trained_on_nodes"
ADDRESSES = ("10.77.0.1", "10.77.0.2")
SECONDS = 600
NO_NAMES = {"RES_OPTIONS": "timeout:1 attempts:1"}
"""There is no server here that knows names, and torch asks for those of the nodes."""


class TwoNodes:
    """Two namespaces with a cable between them; programs in one reach nothing but the other."""

    def __init__(self) -> None:
        self._prefix = f"node-{os.getpid()}-"
        self.start()

    def start(self) -> None:
        """Set them up."""
        first, second = (f"{self._prefix}{address}" for address in ADDRESSES)
        for name in (first, second):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "eth0", "netns", first, "type", "veth", "peer", "eth0", "netns", second)
        for name, address in zip((first, second), ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")

    def stop(self) -> None:
        """Remove them."""
        for address in ADDRESSES:
            ip("netns", "delete", f"{self._prefix}{address}")

    def run(
        self, *arguments: str, command: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the script on the first node, which starts the second."""
        enter = f"ip netns exec {self._prefix}{{node}}"
        return subprocess.run(
            [*enter.format(node=ADDRESSES[0]).split(), sys.executable, "-m", SCRIPT, *arguments],
            cwd=ROOT,
            env={**os.environ, **NO_NAMES, NODES: " ".join(ADDRESSES), COMMAND: command or enter},
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    """Two nodes, for all tests."""
    both = TwoNodes()
    yield both
    both.stop()


@pytest.fixture(scope="module")
def undisturbed(nodes: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What two nodes have learnt that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = nodes.run(str(folder))
    assert done.returncode == 0, done.stderr
    return files.read_json(folder / "trained.json")


def test_each_node_has_a_rank_and_sees_the_other_by_the_network_alone(
    undisturbed: dict[str, object],
) -> None:
    first, second = (f"{address}/24" for address in ADDRESSES)
    assert undisturbed["seen"] == [[0, first], [1, second]]


def test_a_rank_that_is_lost_on_the_other_node_leads_to_the_same_weights(
    nodes: TwoNodes, undisturbed: dict[str, object], tmp_path: Path
) -> None:
    done = nodes.run(str(tmp_path), "1")
    assert done.returncode == 0, done.stderr
    assert "a rank was lost" in done.stderr
    assert "goes on from the checkpoint of step" in done.stderr
    assert json.loads((tmp_path / "trained.json").read_text())["weights"] == undisturbed["weights"]


def test_a_node_that_does_not_start_is_named(nodes: TwoNodes, tmp_path: Path) -> None:
    done = nodes.run(str(tmp_path), command="false {node}")
    assert done.returncode == 1
    assert f"node {ADDRESSES[1]} did not start" in done.stderr
