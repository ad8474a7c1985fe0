"""From training to champion and back: real Prefect and MLflow servers, a real pipeline, a browser.

One workspace goes through its life from the first test to the last.
"""

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect

from tests.flows.deployed import Prefect, processes_of, wait_for
from tests.flows.servers.test_up import free_ports, log_in, page, said_until_ready
from tests.workspace import ROOT, Workspace, make_workspace

__all__ = ["page"]  # a fixture

MODEL = "digits-label"
PARAMS = """\
seed: 0
corpora:
  digits:
    collect: {sources: [{kind: sklearn}]}
    clean: {}
    split: {test: 0.3}
    validate: {}
backbones:
  digits-convnet:
    corpus: digits
    pretrain:
      objective: classification
      architecture: convnet
      convnet: {channels: 8, hidden_size: 32}
      training: {epochs: 1}
models:
  digits-label:
    backbone: digits-convnet
    corpus: digits
    finetune: {epochs: 2, learning_rate: 0.003, twin: false}
    evaluate: {bootstrap_samples: 100, shown_examples: 0}
    register: {floors: {accuracy: 0.5}, not_behind: []}
"""


class Life:
    """A workspace, and the servers of ``downstream up`` around it."""

    def __init__(self, root: Path) -> None:
        self.workspace: Workspace = make_workspace(root)
        (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
        shutil.rmtree(root / "data" / "sources" / "topics")
        shutil.copy(ROOT / "prefect.yaml", root / "prefect.yaml")
        self._ports = free_ports()
        self.secret = secrets.token_urlsafe()
        place = root / ".downstream" / "server-secret"
        place.parent.mkdir(exist_ok=True)
        place.touch(0o600)
        place.write_text(self.secret)
        self.login = f"downstream:{self.secret}"
        api = f"http://127.0.0.1:{self._ports[0]}/api"
        self.prefect = Prefect(api, root / ".prefect", self.login)
        self.mlflow = f"http://127.0.0.1:{self._ports[1]}"
        self._up: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Start the servers, and wait for nothing."""
        flags = ("--prefect-port", str(self._ports[0]), "--mlflow-port", str(self._ports[1]))
        self._up = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", *flags],
            cwd=self.workspace.root,
            env={**self.workspace.environment(), "PREFECT_RUNNER_POLL_FREQUENCY": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Wait until the servers answer."""
        assert self._up is not None
        said_until_ready(self._up)

    def end(self) -> None:
        """Stop the servers."""
        if self._up is not None:
            self._up.send_signal(signal.SIGINT)
            self._up.communicate(timeout=90)
            self._up = None

    def downstream(self, *arguments: str) -> str:
        """Run a command beside the servers; return what it says."""
        named = {
            "PREFECT_API_URL": self.prefect.api,
            "PREFECT_API_AUTH_STRING": self.login,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_TRACKING_USERNAME": "downstream",
            "MLFLOW_TRACKING_PASSWORD": self.secret,
        }
        done = subprocess.run(
            ["downstream", *arguments],
            cwd=self.workspace.root,
            env={**self.workspace.environment(), **named, "DOWNSTREAM_REVIEWER": "Ann"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def train(self, epochs: int, learning_rate: float) -> str:
        """Train another model."""
        key = f"models.{MODEL}.finetune"
        settings = (f"{key}.epochs={epochs}", f"{key}.learning_rate={learning_rate}")
        return self.downstream("run", *(word for one in settings for word in ("--set", one)))

    def aliases(self) -> dict[str, int]:
        """Return the aliases as the MLflow server has them."""
        found = self._ask("get", "registered-models/get", params={"name": MODEL})
        listed = found["registered_model"].get("aliases", [])
        return {one["alias"]: int(one["version"]) for one in listed}

    def move_by_hand(self, alias: str, version: int) -> None:
        """Do what MLflow's page does."""
        body = {"name": MODEL, "alias": alias, "version": str(version)}
        self._ask("post", "registered-models/alias", json=body)

    def reviews(self, state: str) -> list[dict[str, Any]]:
        """Return the flow runs of reviews in a state, by name."""
        return [run for run in self.prefect.flow_runs("review") if run["state_name"] == state]

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        address = f"{self.mlflow}/api/2.0/mlflow/{path}"
        known = ("downstream", self.secret)
        answer = requests.request(method, address, auth=known, timeout=30, **content)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    found = Life(tmp_path_factory.mktemp("life") / "workspace")
    found.begin()
    try:
        done = found.workspace.run("dvc", "repro", "pretrain@digits-convnet")
        assert done.returncode == 0, done.stdout + done.stderr
        found.wait()
        yield found
    finally:
        found.end()


def test_a_candidate_waits_for_a_person_through_a_restart_of_all_servers(life: Life) -> None:
    assert f"{MODEL}: version 1, candidate" in life.train(2, 0.003)
    (waiting,) = wait_for(lambda: life.reviews("Suspended"), bool, seconds=120)
    assert waiting["name"].startswith(f"{MODEL} version 1 as the first champion (")
    assert life.aliases() == {"candidate": 1}
    # Its process ends a moment after it is suspended; a stop before that has it asked again, by
    # another flow run (tests/flows/servers/test_serve.py).
    wait_for(lambda: processes_of(waiting["id"]), lambda left: not left)
    life.end()
    life.begin()
    life.wait()
    assert [run["id"] for run in life.reviews("Suspended")] == [waiting["id"]]
    asked = life.prefect.flow_run(waiting["id"])
    assert asked["state"]["state_details"]["pause_timeout"] is None


def test_a_form_that_says_nothing_asks_again(life: Life) -> None:
    (waiting,) = life.reviews("Suspended")
    for answer in (None, {"decision": "approve", "comment": " \n", "reviewer": "Ann"}):
        path = f"flow_runs/{waiting['id']}/resume"
        assert life.prefect.ask(path, {"run_input": answer})["status"] == "REJECT"
    assert [run["id"] for run in life.reviews("Suspended")] == [waiting["id"]]


def test_a_person_approves_in_the_browser(life: Life, page: Page) -> None:
    (waiting,) = life.reviews("Suspended")
    log_in(page, life.prefect.api.removesuffix("/api"), life.login)
    page.goto(f"{life.prefect.api.removesuffix('/api')}/runs/flow-run/{waiting['id']}")
    page.get_by_role("button", name="Resume").first.click()
    expect(page.get_by_text(f"{MODEL} version 1 as the first champion").last).to_be_visible()
    expect(page.get_by_text("Every gate is passed.").last).to_be_visible()
    fields = page.locator(".schema-form-property")
    decision = fields.filter(has_text="Decision").locator(".p-select-button__control")
    # The list closes by itself at times (docs/review.md): a person tries again, too.
    for _ in range(10):
        decision.focus()
        page.keyboard.press("ArrowDown")
        with suppress(PlaywrightError):
            page.get_by_text("approve", exact=True).last.click(timeout=5_000)
        with suppress(AssertionError):
            expect(decision).to_have_text("approve", timeout=5_000)
            break
    fields.filter(has_text="Comment").locator("textarea").fill("Good enough to begin with")
    fields.filter(has_text="Reviewer").locator("textarea").fill("Ann in a browser")
    page.screenshot(path=life.workspace.root / "form.png")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("button", name="Submit")).to_be_hidden(timeout=60_000)
    ended = life.prefect.end_of(waiting["id"])
    assert ended["state_name"] == "Approved", ended["state"]
    assert "approved by Ann in a browser at " in ended["state"]["message"]
    assert life.aliases() == {"candidate": 1, "champion": 1}


def test_a_worse_model_is_rejected_by_its_gate_with_reasons(life: Life) -> None:
    assert f"{MODEL}: not a candidate: accuracy is 0." in life.train(1, 1e-6)
    assert life.aliases() == {"candidate": 1, "champion": 1}
    listed = " ".join(life.downstream("review", "list").split())
    assert "the candidate is the champion; version 2 misses its gates: accuracy is 0." in listed


def test_a_better_model_is_approved_without_a_form_too(life: Life) -> None:
    assert f"{MODEL}: version 3, candidate" in life.train(8, 0.006)
    (waiting,) = wait_for(lambda: life.reviews("Suspended"), bool, seconds=120)
    said = life.downstream("review", "approve", MODEL, "--comment", "Better everywhere")
    assert f"{MODEL} version 3 against 1: approved by Ann at " in said
    assert life.aliases() == {"candidate": 3, "champion": 3, "previous": 1}
    # Nobody is asked any more.
    assert life.prefect.flow_run(waiting["id"])["state_name"] == "Closed"


def test_the_way_back_and_a_change_by_hand_are_on_record(life: Life) -> None:
    life.downstream("rollback", MODEL, "--reason", "It broke")
    assert life.aliases() == {"candidate": 3, "champion": 1, "previous": 3}
    life.move_by_hand("champion", 2)
    said = life.downstream("history", MODEL, "--verify")
    assert "outside downstream" in said
    for what in ("Ann in a browser", "Better everywhere", "It broke"):
        assert what in said
