"""A workspace with our own code, git history and deployments, and the Prefect processes around it.

Its pipeline is the cheap one of ``tests.flows.pipeline``, so that a whole night takes seconds.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from tests.flows.pipeline import OWN_ROWS, ROOT, Pipeline

IGNORED = """
/.downstream/
/.prefect/
/ran.txt
__pycache__/
mlflow.db
mlartifacts/
"""
LOCAL_SOURCE = {"sources": [{"kind": "files", "path": "records.csv"}]}
BUSY, WANTS_NO_TOKEN = 503, 422
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


def deployable(pipeline: Pipeline) -> Pipeline:
    """Give a workspace our own code, ``prefect.yaml`` and a first commit on ``main``."""
    pipeline.install_flows()
    shutil.copy(ROOT / "prefect.yaml", pipeline.root / "prefect.yaml")
    ignored = (pipeline.root / ".gitignore").read_text()
    pipeline.write(".gitignore", ignored + IGNORED)
    for corpus in ("a", "b"):
        pipeline.change(f"corpora.{corpus}.collect", LOCAL_SOURCE)
    pipeline.change("backbones", {})
    pipeline.repro()
    git(pipeline.root, "checkout", "-q", "-B", "main")
    git(pipeline.root, "config", "user.email", "researcher@example.org")
    git(pipeline.root, "config", "user.name", "Researcher")
    commit(pipeline, "first")
    return pipeline


def commit(pipeline: Pipeline, message: str) -> None:
    """Commit all that lies in the workspace."""
    git(pipeline.root, "add", "--all")
    git(pipeline.root, "commit", "-q", "-m", message)


def git(root: Path, *arguments: str) -> str:
    """Run git; return what it prints."""
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


class Prefect:
    """A Prefect server, spoken to as its clients do."""

    def __init__(self, api: str, home: Path, login: str = "") -> None:
        """Name a server.

        Args:
            api: its address.
            home: where its clients keep their settings.
            login: what it asks for, if it asks; such a one may want a token with each question too.
        """
        self.api = api
        self._login = login
        self._session = requests.Session()
        # They ask for work every ten seconds otherwise.
        often = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        named = {"PREFECT_HOME": str(home), "PREFECT_API_URL": api}
        if login:
            named["PREFECT_API_AUTH_STRING"] = login
        self.environment = {**os.environ, **OWN_ROWS, **often, **named}

    def session(self) -> requests.Session:
        """Return what asks the server; logged in, where it wants that."""
        if self._login and "Prefect-Csrf-Token" not in self._session.headers:
            user, _, password = self._login.partition(":")
            self._session.auth = (user, password)
            self._session.headers["Prefect-Csrf-Client"] = str(uuid4())
            wanted = {"client": self._session.headers["Prefect-Csrf-Client"]}
            answer = self._session.get(f"{self.api}/csrf-token", params=wanted, timeout=30)
            if answer.status_code != WANTS_NO_TOKEN:
                answer.raise_for_status()
            token = answer.json().get("token", "")
            self._session.headers["Prefect-Csrf-Token"] = token
        return self._session

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """Post a question to the API, again while its database is busy, as its clients do."""
        answer = wait_for(
            lambda: self.session().post(f"{self.api}/{path}", json=body, timeout=30),
            lambda answer: answer.status_code != BUSY,
        )
        answer.raise_for_status()
        return answer.json()

    def command(self, *arguments: str, folder: Path) -> str:
        """Run Prefect's command line; return what it prints."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment as the server has it."""
        place = f"{self.api}/deployments/name/{name}/{name}"
        answer = self.session().get(place, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def schedule(self, name: str, **parameters: Any) -> str:
        """Have the server schedule a run of a deployment for now; return its id."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = self.ask(f"deployments/{self.deployment(name)['id']}/create_flow_run", body)
        identifier: str = made["id"]
        return identifier

    def flow_run(self, identifier: str) -> dict[str, Any]:
        """Return a flow run as it is now."""
        found: dict[str, Any] = (
            self.session().get(f"{self.api}/flow_runs/{identifier}", timeout=30).json()
        )
        return found

    def end_of(self, identifier: str) -> dict[str, Any]:
        """Wait for a flow run's end."""
        return wait_for(
            lambda: self.flow_run(identifier), lambda run: run["state_type"] in ENDED, seconds=120
        )

    def run(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Have a deployment run, and wait for its end."""
        return self.end_of(self.schedule(name, **parameters))

    def task_runs(self, flow_run: dict[str, Any]) -> list[str]:
        """Return the names of a flow run's task runs."""
        wanted = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
        return sorted(run["name"] for run in self.ask("task_runs/filter", wanted))

    def flow_runs(self, flow: str, *types: str) -> list[dict[str, Any]]:
        """Return the runs of a flow, of some types of states or of all."""
        wanted = {"flows": {"name": {"any_": [flow]}}}
        found = self.ask("flow_runs/filter", wanted)
        return [run for run in found if not types or run["state_type"] in types]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name that the server has."""
        body = {"filter": {"event": {"name": [name]}}, "limit": 50}
        found: list[dict[str, Any]] = self.ask("events/filter", body)["events"]
        return found

    @contextmanager
    def process(self, command: list[str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a process of Prefect's for as long as the body takes."""
        with (folder / "process.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=self.environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def processes_of(flow_run: str) -> list[int]:
    """Return the processes that Prefect has started for a flow run, and theirs."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREFECT__FLOW_RUN_ID={flow_run}".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:
            continue  # It has ended, or is another user's.
    return found


def wait_for(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 60) -> Any:
    """Look until it is good; return what was seen."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen} after {seconds} s"
        time.sleep(0.2)
    return seen
