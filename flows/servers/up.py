"""``downstream up``: a Prefect server, an MLflow server and the deployments, for one laptop.

Both servers ask for a secret (``flows.servers.secret``), and answer their own pages alone. The
Prefect server of a run that has none is started in the same way; it ends with that run.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flows.servers.secret import USER, derived, new_secret, prefect_login, workspace_secret
from flows.servers.supervisor import (
    HOST,
    SERVING,
    Server,
    Servers,
    free_port,
    require_free,
    running,
)
from tasks.contracts import files
from tasks.errors import DownstreamError
from tasks.progress import say
from tasks.tracking.store import (
    CHOICE,
    DEFAULTS,
    SQLITE,
    STATE,
    artifact_folder,
    opened,
    tracking_uri,
)

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
    _require_own_store()
    prefect, mlflow = f"http://{HOST}:{prefect_port}", f"http://{HOST}:{mlflow_port}"
    secret = workspace_secret()
    clients = {
        "PREFECT_API_URL": f"{prefect}/api",
        "PREFECT_API_AUTH_STRING": prefect_login(secret),
        **_mlflow_clients(mlflow, secret),
    }
    say("Starting the servers (about half a minute) ...")
    _make_store()
    with suppress(KeyboardInterrupt), running() as servers:
        servers.start(mlflow_server(mlflow, mlflow_port, secret))
        servers.start(prefect_server(prefect, prefect_port, secret))
        servers.start(serving(clients))
        say(f"Prefect:  {prefect} asks for {clients['PREFECT_API_AUTH_STRING']}")
        say(f"MLflow:   {mlflow} asks for the user {USER} and the password {secret}")
        say("Serving:  nightly, train and review\n")
        say("In other terminals, so that your runs appear there:")
        say(f"  export {' '.join(f'{name}={value}' for name, value in clients.items())}")
        say("\nCtrl-C stops all three.")
        servers.watch()


def show_mlflow(port: int) -> None:
    """Start an MLflow server over the workspace's store alone, and say where its pages are.

    Args:
        port: where it listens, on this machine alone.

    Raises:
        DownstreamError: the port is taken, the store is elsewhere, or the server has ended.
    """
    require_free({"--port": port})
    _require_own_store()
    address, secret = f"http://{HOST}:{port}", workspace_secret()
    _make_store()
    with suppress(KeyboardInterrupt), running() as servers:
        servers.start(mlflow_server(address, port, secret))
        say(f"MLflow:   {address} asks for the user {USER} and the password {secret}")
        say("Ctrl-C stops it.")
        servers.watch()


def _require_own_store() -> None:
    if not tracking_uri().startswith(SQLITE):
        raise DownstreamError(
            f"{CHOICE} names an MLflow server already: unset it, or call `downstream serve` beside "
            "a Prefect server of your own"
        )


def _make_store() -> None:
    with opened():
        pass  # A new store is made once, under its lock, before anything else opens it.


def _mlflow_clients(address: str, secret: str) -> dict[str, str]:
    return {CHOICE: address, "MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": secret}


def prefect_server(address: str, port: int, secret: str) -> Server:
    """Return a Prefect server with its telemetry off; its database is where PREFECT_HOME says.

    Args:
        address: its own, which its pages are served from; no other page may call it.
        port: where it listens, on this machine alone.
        secret: what it asks for.
    """
    start = ["server", "start", "--host", HOST, "--port", str(port), "--analytics-off"]
    environment = {
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_AUTH_STRING": prefect_login(secret),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
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
    secret = new_secret()
    address, server = temporary_prefect_server(secret)
    # First to be registered, so last to be called: Prefect's last log lines are sent before.
    atexit.register(servers.stop)
    servers.launch(server)
    # Prefect has read its settings when it was imported: it is told to read them again.
    login = {"PREFECT_API_AUTH_STRING": prefect_login(secret)}
    os.environ |= {"PREFECT_API_URL": address, **login, TEMPORARY: "1"}
    refresh_global_settings_context()
    return lambda: servers.wait_for(server)


def temporary_prefect_server(secret: str) -> tuple[str, Server]:
    """Return a Prefect server for one run, and its API's address.

    Its database is the lasting one, where PREFECT_HOME says, so that a server that is started later
    shows the run. What would act on other runs there, or start them, is off, and so are the pages.
    """
    port = free_port()
    address = f"http://{HOST}:{port}"
    server = prefect_server(address, port, secret)
    off = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in LASTING_SERVICES}
    command = [*server.command, "--no-ui", "--no-scheduler", "--no-late-runs"]
    return f"{address}/api", replace(
        server,
        name="temporary-prefect",
        command=command,
        environment={**server.environment, **off},
    )


def mlflow_server(address: str, port: int, secret: str) -> Server:
    """Return an MLflow server over the workspace's store.

    Artifacts are written by the clients, and their places kept as the workspace alone would keep
    them: what is recorded over HTTP and what is recorded without a server can be read either way.

    Args:
        address: its own; MLflow refuses what a page from elsewhere asks for.
        port: where it listens, on this machine alone.
        secret: the password that it asks for, by HTTP's basic authentication.
    """
    artifacts = artifact_folder()
    if artifacts is None:
        raise AssertionError("a SQLite store has its artifacts beside it")
    options = [
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", tracking_uri()),
        *("--no-serve-artifacts", "--default-artifact-root", artifacts.as_uri()),
        *("--app-name", "basic-auth"),
    ]
    environment = {
        **DEFAULTS,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_CONFIG_PATH": str(_write_login(secret)),
        "MLFLOW_AUTH_ADMIN_PASSWORD": secret,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": derived(secret, "session"),
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{port},localhost:{port}",
    }
    command = [_tool("mlflow"), "server", *options]
    return Server("mlflow", command, _answers(f"{address}/health"), environment)


def _write_login(secret: str) -> Path:
    """Write what MLflow's login is to be: one user, and nothing for whoever else there might be."""
    # MLflow takes a password for a new database of users alone: a new secret has a new one.
    users = STATE.absolute() / f"users-{derived(secret, 'database')[:8]}.db"
    lines = [
        "[mlflow]",
        "default_permission = NO_PERMISSIONS",
        f"database_uri = {SQLITE}{str(users).replace('%', '%%')}",
        f"admin_username = {USER}",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
        # A password is hashed slowly on purpose: once an hour is enough.
        "auth_cache_ttl_seconds = 3600",
    ]
    config = STATE / "login.ini"
    files.write_text(config, "\n".join([*lines, ""]))
    return config.absolute()


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
