"""``downstream worker``: Prefect's own worker of a work pool, in this checkout."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import httpx
from prefect.exceptions import PrefectException

from flows.orchestration.stage import recover
from flows.servers.serve import server
from tasks.errors import Unreachable
from tasks.progress import say
from tasks.stage_process.devices import usable_devices

CHECKOUT = "DOWNSTREAM_CHECKOUT"
"""Names the checkout that flow runs work in, for ``prefect.yaml``; each worker has its own."""
GPU = "gpu"


def become_worker(pool: str, limit: int | None) -> NoReturn:
    """Schedule again what a killed worker has left, and become ``prefect worker start``.

    Args:
        pool: the work pool; one of processes is made if there is none.
        limit: how many flow runs at once.

    Raises:
        DownstreamError: no server is named, or it does not answer.
    """
    api = server()
    try:
        if found := recover(Path.cwd()):
            say(f"{found} stages of a worker that was killed are scheduled again")
    except (httpx.HTTPError, PrefectException) as error:
        raise Unreachable(f"Prefect's server at {api} does not answer: {error}") from error
    if limit is None and pool == GPU:
        limit = len(usable_devices())
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool]
    command += ["--type", "process", *(["--limit", str(limit)] if limit else [])]
    os.environ[CHECKOUT] = str(Path.cwd())
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, without a shell
