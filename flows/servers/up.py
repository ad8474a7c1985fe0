"""``downstream up``: a Prefect server, an MLflow server and the deployments, for one laptop.

The Prefect server of a run that has none is started in the same way; it ends with that run.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flows.servers.supervisor import (
    HOST,
    SERVING,
    Server,
    Servers,
    free_port,
    require_free,
    running,
)
from tasks.errors import DownstreamError
from tasks.progress import say
from tasks.tracking.store import CHOICE, DEFAULTS, SQLITE, artifact_folder, opened, tracking_uri

ANSWER_TIMEOUT_SECONDS = 2
LASTING_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
)
"""Services of Prefect's server, beside its scheduler and late runs, that a temporary one lacks."""


def up(prefect_port: int, mlflow_port: int) -> None:
    """Start all three, say where they are, and stop them together.

    Args:
        prefect_port: where Prefect listens, on this machine alone.
        mlflow_port: where MLflow listens, likewise.

    Raises:
        DownstreamError: a port is taken, MLflow's store is elsewhere, or a server has ended.
    """
    require_free({"--prefect-port": prefect_port, "--mlflow-port": mlflow_port})
    if not tracking_uri().startswith(SQLITE):
        raise DownstreamError(
            f"{CHOICE} names an MLflow server already: unset it, or call `downstream serve` beside "
            "a Prefect server of your own"
        )
    prefect, mlflow = f"http://{HOST}:{prefect_port}", f"http://{HOST}:{mlflow_port}"
    addresses = {"PREFECT_API_URL": f"{prefect}/api", CHOICE: mlflow}
    say("Starting the servers (about half a minute) ...")
    with opened():
        pass  # A new store is made once, under its lock, before anything else opens it.
    with suppress(KeyboardInterrupt), running() as servers:
        servers.start(mlflow_server(mlflow, mlflow_port))
        servers.start(prefect_server(prefect, prefect_port))
        servers.start(serving(addresses))
        say(f"Prefect:  {prefect}\nMLflow:   {mlflow}\nServing:  nightly, train and review\n")
        say("In other terminals, so that your runs appear there:")
        say("\n".join(f"  export {name}={address}" for name, address in addresses.items()))
        say("\nCtrl-C stops all three.")
        servers.watch()


def prefect_server(address: str, port: int) -> Server:
    """Return a Prefect server with its telemetry off; its database is where PREFECT_HOME says."""
    start = ["server", "start", "--host", HOST, "--port", str(port), "--analytics-off"]
    environment = {
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Its pages would ask at port 4200 otherwise, whatever --port says.
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
    }
    command = [_tool("prefect"), *start]
    return Server("prefect", command, _answers(f"{address}/api/health"), environment)


def start_temporary_prefect() -> Callable[[], None]:
    """Start a Prefect server that ends with this process, if no setting names one.

    Returns:
        What waits until it answers: the rest of Prefect is imported meanwhile.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    from flows.run.results import TEMPORARY

    if get_current_settings().api.url:
        return lambda: None
    say("Starting a temporary Prefect server (10 to 20 s; PREFECT_API_URL names a lasting one)")
    servers = Servers()
    address, server = temporary_prefect_server()
    # First to be registered, so last to be called: Prefect's last log lines are sent before.
    atexit.register(servers.stop)
    servers.launch(server)
    # Prefect has read its settings when it was imported: it is told to read them again.
    os.environ |= {"PREFECT_API_URL": address, TEMPORARY: "1"}
    refresh_global_settings_context()
    return lambda: servers.wait_for(server)


def temporary_prefect_server() -> tuple[str, Server]:
    """Return a Prefect server for one run, and its API's address.

    Its database is the lasting one, where PREFECT_HOME says, so that a server that is started later
    shows the run. What would act on other runs there, or start them, is off, and so are the pages.
    """
    port = free_port()
    address = f"http://{HOST}:{port}"
    server = prefect_server(address, port)
    off = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in LASTING_SERVICES}
    command = [*server.command, "--no-ui", "--no-scheduler", "--no-late-runs"]
    return f"{address}/api", replace(
        server,
        name="temporary-prefect",
        command=command,
        environment={**server.environment, **off},
    )


def mlflow_server(address: str, port: int) -> Server:
    """Return an MLflow server over the workspace's store.

    Artifacts are written by the clients, and their places kept as the workspace alone would keep
    them: what is recorded over HTTP and what is recorded without a server can be read either way.
    """
    artifacts = artifact_folder()
    if artifacts is None:
        raise AssertionError("a SQLite store has its artifacts beside it")
    options = [
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", tracking_uri()),
        *("--no-serve-artifacts", "--default-artifact-root", artifacts.as_uri()),
    ]
    environment = {**DEFAULTS, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [_tool("mlflow"), "server", *options]
    return Server("mlflow", command, _answers(f"{address}/health"), environment)


def serving(addresses: dict[str, str]) -> Server:
    """Return the process that runs the deployments."""

    def says_so(server: Server) -> bool:
        log = server.log
        return log.exists() and SERVING in log.read_text(encoding="utf-8", errors="replace")

    return Server("serve", [sys.executable, "-m", "flows", "serve"], says_so, addresses)


def _answers(address: str) -> Callable[[Server], bool]:
    def answers(_: Server) -> bool:
        import requests

        try:
            return requests.get(address, timeout=ANSWER_TIMEOUT_SECONDS).ok
        except requests.RequestException:
            return False

    return answers


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)
