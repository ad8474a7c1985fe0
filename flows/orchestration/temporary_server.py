"""Prefect's temporary server, made to end with the run that started it, kill -9 included.

Prefect starts one where no server is named, and stops it at the interpreter's end; after a kill -9
it would go on for ever.
"""

import os
import subprocess
import sys
from typing import Any

PROGRAM = ["uvicorn", "--factory", "prefect.server.api.server:create_app", "--lifespan", "on"]
METHOD = "_run_uvicorn_command"
ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


def tie_to_this_process() -> None:
    """Have Prefect start its temporary server by way of ``flows.servers.child``."""
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer

    setattr(SubprocessASGIServer, METHOD, _start)


def _start(server: Any) -> "subprocess.Popen[Any]":
    """Do what Prefect's own method does, by way of ``flows.servers.child``."""
    from prefect.settings import get_current_settings

    place = ["--host", "127.0.0.1", "--port", str(server.port), "--log-level", "error"]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "flows.servers.child", sys.executable, "-m", *PROGRAM, *place],
        env={**os.environ, **ENVIRONMENT, **settings},
        # Ctrl-C in a terminal is for the run, which still has to tell the server how it ended.
        process_group=0,
    )
