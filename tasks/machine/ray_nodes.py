"""Functions run on the nodes of a Ray cluster, in place of the processes of this machine.

A node that dies costs time: Ray runs what was there on another one, and what cannot be run there is
told as a broken pool of processes is, so that whoever asked does it himself.
"""

import hashlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

from tasks.errors import BadInput, BadSettings
from tasks.machine.libraries import public_version

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Ray's own: where the cluster is; without it, the one that this machine is a node of."""
CONNECT_SECONDS = 30
PACKAGE = Path(__file__).parents[1]
RETRIES = 5
"""Of a function whose node has died."""


class RayNodes:
    """Looks like a pool of processes: functions are submitted to it, and their results awaited."""

    def __init__(self, libraries: Sequence[str]) -> None:
        """Join a cluster.

        Args:
            libraries: those whose versions have to be the same on all nodes.

        Raises:
            BadSettings: Ray is not installed here, or no cluster answers.
        """
        try:
            import ray
        except ImportError:
            raise BadSettings(
                "params.yaml: engine: ray is not installed here: pip install 'downstream[ray]'"
            ) from None
        address = os.environ.get(ADDRESS_VARIABLE, "auto")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            _require_answer(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadSettings(
                f"params.yaml: engine: ray: no cluster answers ({address}: {error!s:.80}): start "
                f"one with `ray start --head`, or set {ADDRESS_VARIABLE}"
            ) from None
        self._libraries = tuple(libraries)
        self._here = code_and_versions(self._libraries)
        self._run = ray.remote(max_retries=RETRIES)(_on_node)
        self.number = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Awaited":
        """Begin a call on some node."""
        return Awaited(self._run.remote(self._here, self._libraries, function, arguments))

    def shutdown(self, *, cancel_futures: bool = True) -> None:  # noqa: ARG002 - as pools have it
        """Leave the cluster, which ends what is still running for us."""
        import ray

        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise an OSError where nothing listens, for which Ray would look without end."""
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


class Awaited:
    """What a node will have returned."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def result(self) -> Any:
        """Wait for it.

        Raises:
            BadInput: the node has other code, or other versions.
            BrokenProcessPool: no node could do it.
        """
        import ray

        try:
            difference, value = ray.get(self._reference)
        except ray.exceptions.RayError as error:
            raise BrokenProcessPool(str(error)) from None
        if difference is not None:
            raise BadInput(difference)
        return value


@cache
def code_and_versions(libraries: tuple[str, ...]) -> dict[str, str | None]:
    """Return what has to be the same on all nodes: a hash of our code, and versions."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    versions = {name: public_version(name) for name in libraries}
    return {**versions, "code of downstream": digest.hexdigest()[:8]}


def _on_node(
    there: dict[str, str | None],
    libraries: tuple[str, ...],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> tuple[str | None, Any]:
    """Call a function, unless this node is unlike the one that asks; then say so."""
    here = code_and_versions(libraries)
    for name, asked in there.items():
        if here[name] != asked:
            return (
                f"engine: ray: {name} is {here[name]} on {socket.gethostname()} and {asked} where "
                "the run was started: install the same there"
            ), None
    return None, function(*arguments)
