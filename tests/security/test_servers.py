"""Who may call the servers of a laptop: not another user, not a page in the same browser."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from flows.servers.secret import prefect_login, workspace_secret
from flows.servers.supervisor import Servers, free_port
from flows.servers.up import mlflow_server, prefect_server
from tasks.tracking.store import opened
from tests.flows.deployed import Prefect
from tests.prefect_home import lay_prefect_home

EVIL = "evil.test"
ATTACK = """
async ([address, body]) => {
  const said = [];
  for (const mode of ["cors", "no-cors"]) {
    for (const type of ["application/json", "text/plain"]) {
      try {
        const answer = await fetch(address, {
          method: "POST", mode, credentials: "include", body, headers: {"content-type": type}});
        said.push(answer.type === "opaque" ? "opaque" : answer.status);
      } catch (error) { said.push("blocked"); }
    }
  }
  return said;
}
"""


@dataclass(frozen=True)
class Running:
    """Both servers, as ``downstream up`` starts them."""

    prefect: str
    mlflow: str
    secret: str
    home: Path

    def client(self) -> Prefect:
        """Who has been told the secret."""
        return Prefect(f"{self.prefect}/api", self.home, prefect_login(self.secret))

    def flow_runs(self) -> int:
        """How many flow runs there are."""
        count: int = self.client().ask("flow_runs/count", {})
        return count

    def experiments(self) -> list[str]:
        """The names of MLflow's experiments."""
        answer = requests.post(
            f"{self.mlflow}/api/2.0/mlflow/experiments/search",
            json={"max_results": 100},
            auth=("downstream", self.secret),
            timeout=30,
        )
        return [each["name"] for each in answer.json()["experiments"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("servers")
    lay_prefect_home(root / ".prefect")
    servers = Servers()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PREFECT_HOME", str(root / ".prefect"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with opened():
            secret = workspace_secret()
        ports = free_port(), free_port()
        prefect, mlflow = (f"http://127.0.0.1:{port}" for port in ports)
        both = prefect_server(prefect, ports[0], secret), mlflow_server(mlflow, ports[1], secret)
        try:
            for server in both:
                servers.launch(server)
            for server in both:
                servers.wait_for(server)
            yield Running(prefect, mlflow, secret, root)
        finally:
            servers.stop()


@pytest.fixture(scope="module")
def start(running: Running) -> str:
    """The address at which a deployment is started."""
    client = running.client()
    flow = client.ask("flows/", {"name": "nightly"})
    deployment = client.ask("deployments/", {"name": "nightly", "flow_id": flow["id"]})
    return f"{running.prefect}/api/deployments/{deployment['id']}/create_flow_run"


@pytest.fixture
def evil_page(tmp_path: Path, running: Running) -> Iterator[Page]:
    """A page of another host, in a browser whose user is logged in to MLflow."""
    (tmp_path / "index.html").write_text("<h1>Win a prize</h1>")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"],
        )
        login = {"username": "downstream", "password": running.secret}
        context = browser.new_context(http_credentials={**login, "origin": running.mlflow})
        page = context.new_page()
        page.goto(running.mlflow)
        page.goto(f"http://{EVIL}:{server.server_port}/index.html")
        yield page
        browser.close()
        server.shutdown()


def test_who_does_not_know_the_secret_starts_nothing_and_reads_nothing(
    running: Running, start: str
) -> None:
    for user in (None, ("downstream", "guessed"), ("admin", running.secret)):
        token = f"{running.prefect}/api/csrf-token"
        listed = f"{running.prefect}/api/deployments/name/nightly/nightly"
        for address in (token, listed):
            answer = requests.get(address, params={"client": "me"}, auth=user, timeout=30)
            assert answer.status_code == 401
        assert requests.post(start, json={}, auth=user, timeout=30).status_code in (401, 403)
        search = f"{running.mlflow}/api/2.0/mlflow/experiments/search"
        assert requests.post(search, json={}, auth=user, timeout=30).status_code == 401
    assert running.flow_runs() == 0


def test_a_page_of_another_origin_starts_no_deployment(
    running: Running, start: str, evil_page: Page
) -> None:
    said = evil_page.evaluate(ATTACK, [start, '{"state": {"type": "SCHEDULED"}}'])
    assert set(said) <= {"blocked", "opaque"}
    assert running.flow_runs() == 0
    # The same call, by one who may, is no empty threat.
    assert running.client().session().post(start, json={}, timeout=30).status_code == 201
    assert running.flow_runs() == 1


def test_a_page_of_another_origin_writes_nothing_to_mlflow_though_its_user_is_logged_in(
    running: Running, evil_page: Page
) -> None:
    create = f"{running.mlflow}/api/2.0/mlflow/experiments/create"
    said = evil_page.evaluate(ATTACK, [create, '{"name": "planted"}'])
    assert set(said) <= {"blocked", "opaque"}
    assert "planted" not in running.experiments()


def test_a_name_that_was_bound_to_this_machine_reaches_nothing(running: Running) -> None:
    for address, path in ((running.mlflow, "/"), (running.prefect, "/api/flows/count")):
        answer = requests.request(
            "GET" if path == "/" else "POST",
            f"{address}{path}",
            headers={"Host": f"{EVIL}:80"},
            auth=("downstream", running.secret) if path == "/" else None,
            timeout=30,
        )
        assert answer.status_code in (401, 403)


def test_the_secret_is_in_no_command_line_and_no_log(running: Running) -> None:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    logs = [path.read_bytes() for path in (running.home / ".downstream" / "logs").glob("*")]
    assert logs
    assert not any(running.secret.encode() in text for text in [*lines, *logs])
