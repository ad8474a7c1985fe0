"""``downstream up``: three real servers with one command, and their pages in a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright
from prefect.settings.models.root import Settings

from flows.servers.up import temporary_prefect_server
from tests.flows.deployed import Prefect, deployable, wait_for
from tests.flows.pipeline import OWN_ROWS, Pipeline
from tests.flows.servers.test_serve import running_in
from tests.prefect_home import lay_prefect_home

PATIENCE_MILLISECONDS = 60_000.0


@dataclass(frozen=True)
class Up:
    """What runs, and what it has said until it was ready."""

    process: "subprocess.Popen[str]"
    workspace: Pipeline
    said: str
    prefect: str
    mlflow: str

    @property
    def secret(self) -> str:
        """What the servers ask for."""
        return secret_of(self.workspace.root)

    def prefect_client(self) -> Prefect:
        """A client of the Prefect server that knows it."""
        login = f"downstream:{self.secret}"
        return Prefect(f"{self.prefect}/api", self.workspace.root, login)

    def mlflow_client(self) -> requests.Session:
        """A client of the MLflow server that knows it."""
        session = requests.Session()
        session.auth = ("downstream", self.secret)
        return session


@pytest.fixture(scope="module")
def up(reproduced: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    workspace = deployable(reproduced.copy_to(tmp_path_factory.mktemp("up there")))
    ports = free_ports()
    flags = ("--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1]))
    with start(workspace, *flags) as process:
        try:
            said = said_until_ready(process)
            addresses = [f"http://127.0.0.1:{port}" for port in ports]
            yield Up(process, workspace, said, *addresses)
        finally:
            process.terminate()


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page of Debian's chromium."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        yield page
        browser.close()


def secret_of(root: Path) -> str:
    """Return what the servers of a workspace ask for."""
    return (root / ".downstream" / "server-secret").read_text()


def log_in(page: Page, address: str, login: str) -> None:
    """Open a page of Prefect's for the first time, and answer its question."""
    page.goto(address)
    page.get_by_role("textbox").first.fill(login)
    page.get_by_role("button", name="Login").click()
    # A page that is opened before the answer has come asks again.
    expect(page.get_by_role("button", name="Login")).to_be_hidden(timeout=60_000)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def start(pipeline: Pipeline, *arguments: str) -> "subprocess.Popen[str]":
    lay_prefect_home(pipeline.root / ".prefect")
    dropped = {"PREFECT_API_URL", "MLFLOW_TRACKING_URI"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    home = {"PREFECT_HOME": str(pipeline.root / ".prefect"), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "flows", "up", *arguments],
        cwd=pipeline.root,
        env={**kept, **OWN_ROWS, **home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    said = ""
    while "Ctrl-C stops" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_the_servers_answer_where_it_says(up: Up) -> None:
    for line in (
        f"Prefect:  {up.prefect} asks for downstream:{up.secret}\n",
        f"MLflow:   {up.mlflow} asks for the user downstream and the password {up.secret}\n",
        f"  export PREFECT_API_URL={up.prefect}/api PREFECT_API_AUTH_STRING=downstream:{up.secret} "
        f"MLFLOW_TRACKING_URI={up.mlflow} MLFLOW_TRACKING_USERNAME=downstream "
        f"MLFLOW_TRACKING_PASSWORD={up.secret}\n",
    ):
        assert line in up.said
    assert requests.get(f"{up.mlflow}/health", timeout=30).text == "OK"
    train = up.prefect_client().deployment("train")
    assert train["entrypoint"] == "flows.orchestration.train.train"


def test_what_is_recorded_over_http_lies_where_a_run_without_a_server_puts_it(up: Up) -> None:
    api = f"{up.mlflow}/api/2.0/mlflow/experiments"
    client = up.mlflow_client()
    client.post(f"{api}/create", json={"name": "m"}, timeout=30).raise_for_status()
    made = client.get(f"{api}/get-by-name?experiment_name=m", timeout=30).json()["experiment"]
    assert made["artifact_location"].startswith(f"{up.workspace.root.as_uri()}/mlartifacts/")


def test_prefects_page_of_a_finished_run_shows_its_stages_and_the_results_table(
    up: Up, page: Page
) -> None:
    prefect = up.prefect_client()
    run = prefect.run("train", overrides={"models.m.finetune.rate": 0.7})
    assert run["state_type"] == "COMPLETED", run["state"]
    log_in(page, up.prefect, f"downstream:{up.secret}")
    page.goto(f"{up.prefect}/runs/flow-run/{run['id']}")
    page.get_by_text("Task Runs", exact=True).first.click()
    for stage in ("finetune@m", "evaluate@m"):
        expect(page.get_by_text(stage).first).to_be_visible()
    page.screenshot(path=up.workspace.root / "stages.png")
    page.get_by_text("Artifacts", exact=True).last.click()
    page.get_by_text("results", exact=True).first.click()
    for cell in ("NB-SVM", "85.00 - 95.00"):
        expect(page.get_by_text(cell).first).to_be_visible()
    page.screenshot(path=up.workspace.root / "results.png")


def test_if_one_dies_all_end_and_the_error_names_its_log(up: Up) -> None:
    (server,) = [each for each in running_in(up.workspace.root) if is_prefect_server(each)]
    os.kill(server, signal.SIGKILL)
    _, rest = up.process.communicate(timeout=90)
    assert up.process.returncode == 1
    assert rest.endswith(
        "error: prefect has ended (killed by SIGKILL), so the others were stopped: see "
        ".downstream/logs/prefect.log\n"
    )
    wait_for(lambda: running_in(up.workspace.root), lambda left: not left, seconds=30)


def is_prefect_server(process_id: int) -> bool:
    command = Path(f"/proc/{process_id}/cmdline").read_text().split("\0")
    return command[2:4] == ["server", "start"]


def test_a_runs_own_server_acts_on_no_other_run(monkeypatch: pytest.MonkeyPatch) -> None:
    address, server = temporary_prefect_server("secret")
    assert server.command[-3:] == ["--no-ui", "--no-scheduler", "--no-late-runs"]
    assert address.endswith(f":{server.command[server.command.index('--port') + 1]}/api")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    services = Settings().server.services
    enabled = {name for name, service in services if getattr(service, "enabled", False)}
    # `scheduler` and `late_runs` are off by its flags; the others take in what this run sends.
    assert enabled == {
        "db_vacuum", "event_persister", "late_runs", "scheduler", "task_run_recorder", "triggers",
    }  # fmt: skip


def test_a_taken_port_is_told_before_anything_starts(installed: Pipeline) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(installed, "--mlflow-port", str(port), "--prefect-port", "0")
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(f"error: --mlflow-port {port}: cannot listen on 127.0.0.1:{port} (")
    assert said.count("\n") == 1
    assert not Path(".downstream/logs").exists()
    assert not Path("mlflow.db").exists()
