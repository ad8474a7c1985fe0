"""Fixtures: a small pipeline in the current directory, as it stands before or after a run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.pipeline import OWN_ROWS, Pipeline
from tests.flows.stage_pipeline import StagePipeline
from tests.prefect_home import lay_prefect_home
from tests.servers import free_port, wait_for_answer


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what libraries warn of about each other."""
    # DVC's own use of pygtrie.
    config.addinivalue_line("filterwarnings", "ignore:_NoneStep.value:DeprecationWarning")


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A workspace after ``dvc repro``; never to be changed, only copied."""
    pipeline = Pipeline(tmp_path_factory.mktemp("reproduced"))
    pipeline.repro()
    pipeline.ran()
    return pipeline


@pytest.fixture
def pipeline(tmp_path: Path, reproduced: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A workspace in which everything is fresh."""
    monkeypatch.chdir(tmp_path)
    return reproduced.copy_to(tmp_path)


@pytest.fixture
def new_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A workspace in which nothing has run."""
    monkeypatch.chdir(tmp_path)
    return Pipeline(tmp_path)


def set_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that a test starts know that the workspace has rows of its own kind."""
    for name, module in OWN_ROWS.items():
        monkeypatch.setenv(name, module)


@pytest.fixture
def installed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A workspace in which everything is fresh, with our own code in it."""
    set_own_rows(monkeypatch)
    pipeline.install_flows()
    return pipeline


@pytest.fixture(scope="session")
def reproduced_stages(tmp_path_factory: pytest.TempPathFactory) -> StagePipeline:
    """A workspace with real stage processes after ``dvc repro``; only to be copied."""
    pipeline = StagePipeline(tmp_path_factory.mktemp("stages"))
    pipeline.repro()
    pipeline.events()
    return pipeline


@pytest.fixture
def staged(
    tmp_path: Path, reproduced_stages: StagePipeline, monkeypatch: pytest.MonkeyPatch
) -> StagePipeline:
    """A workspace with real stage processes in which everything is fresh."""
    monkeypatch.chdir(tmp_path)
    set_own_rows(monkeypatch)
    copy = reproduced_stages.copy_to(tmp_path)
    assert isinstance(copy, StagePipeline)
    return copy


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server, one for all tests; its API's address."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as (address, _):
        yield address


@contextmanager
def prefect_server(home: Path) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """Start a real Prefect server; give its API's address and its process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    prefect = str(Path(sys.executable).parent / "prefect")
    lay_prefect_home(home)
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            cwd=home,
            env={**os.environ, "PREFECT_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for_answer(f"{address}/health", server, 600)
        yield address, server
    finally:
        server.terminate()
        server.wait()
