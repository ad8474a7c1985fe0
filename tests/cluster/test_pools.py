"""Stages in two work pools: workers in two clones, with nothing in common but servers.

Prefect's server is on PostgreSQL, DVC's remote is in S3, and git's remote is a bare repository.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.cluster.conftest import S3Server
from tests.cluster.page import PREFECT_LOGIN, do, for_servers, served
from tests.cluster.postgresql import Postgresql
from tests.cluster.proxy import FAULT, Proxy
from tests.flows.deployed import ENDED, IGNORED, Prefect, git, wait_for
from tests.flows.pipeline import ROOT
from tests.flows.stage_pipeline import StagePipeline

PARAMS = {
    "seed": 0,
    "corpora": {"a": {"clean": {}, "split": {}}},
    "models": {"m": {"corpus": "a", "finetune": {"rate": 0.5}, "evaluate": {}}},
}
WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org")
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "10"))
"""How long servers are away, twice; a minute where somebody wants to see that."""
SOON = {
    "DOWNSTREAM_POOL_POLL_SECONDS": "1",
    "DOWNSTREAM_POOL_PATIENCE_SECONDS": "1",
    "DOWNSTREAM_RETRY_SECONDS": "1",
}


@dataclass
class Site:
    """A clone in which a worker of one pool runs."""

    pool: str
    clone: StagePipeline
    room: Path
    """Where its toys note what they do, and are told what to do."""
    prefect: Prefect

    def events(self) -> list[str]:
        """Return what its stages have noted since the last call."""
        path = self.room / "events.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.strip() for line in lines]

    def begun(self) -> list[str]:
        """Return the stages that have begun here since the last call."""
        return [line.split()[1] for line in self.events() if line.startswith("begin")]

    def control(self, text: str) -> None:
        """Say what becomes of stages."""
        (self.room / "control.json").write_text(text)

    @contextmanager
    def worker(self) -> "Iterator[subprocess.Popen[bytes]]":
        """Run its worker for as long as the body takes."""
        environment = {**self.prefect.environment, **SOON, "TOY_ROOM": str(self.room)}
        with (self.room / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows", "worker", self.pool],
                cwd=self.clone.root,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@dataclass
class Cluster:
    """Servers, the ways to them, and two sites."""

    prefect: Prefect
    postgresql: Postgresql
    to_prefect: Proxy
    to_s3: Proxy
    cpu: Site
    gpu: Site
    single: StagePipeline
    """The same workspace on a single machine, where all has run."""

    def expected(self, rate: float) -> dict[str, Any]:
        """Return ``dvc.lock`` of a single machine, with another rate of learning."""
        self.single.change("models.m.finetune.rate", rate)
        self.single.repro()
        return self.single.lock()


@pytest.fixture(scope="module")
def cluster(
    postgresql: Postgresql,
    s3: S3Server,
    reproduced_stages: StagePipeline,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    import boto3

    boto3.resource("s3", endpoint_url=s3.address).Bucket("pools").create()
    folder = tmp_path_factory.mktemp("pools")
    environment = for_servers(postgresql, folder)
    do("databases", environment, folder)
    to_s3, to_prefect = Proxy(s3.port), Proxy(int(environment["PREFECT_PORT"]))
    address = f"http://127.0.0.1:{to_prefect.port}/api"
    prefect = Prefect(address, folder / "home", PREFECT_LOGIN)
    single = reproduced_stages.copy_to(folder / "single")
    origin = _published(single, folder, to_s3)
    with served("prefect", environment, folder, f"{address}/health"):
        sites = [_site(pool, origin, folder, prefect) for pool in ("cpu", "gpu")]
        for site in sites:
            prefect.command("work-pool", "create", site.pool, "--type", "process", folder=folder)
        prefect.command("deploy", "--all", folder=sites[0].clone.root)
        yield Cluster(prefect, postgresql, to_prefect, to_s3, *sites, single=single)
    to_s3.close()
    to_prefect.close()


def _published(source: StagePipeline, folder: Path, to_s3: Proxy) -> Path:
    """Return a bare repository with a pipeline in which nothing has run."""
    source.write(
        ".dvc/config",
        "[core]\n    remote = store\n['remote \"store\"']\n"
        f"    url = s3://pools/here\n    endpointurl = http://127.0.0.1:{to_s3.port}\n",
    )
    source.write("prefect.yaml", (ROOT / "prefect.yaml").read_text())
    source.write(".gitignore", (source.root / ".gitignore").read_text() + IGNORED)
    source.write_params(PARAMS)
    source.remove("dvc.lock")
    git(source.root, "checkout", "-q", "-B", "main")
    git(source.root, "add", "--all")
    git(source.root, *WHO, "commit", "-qm", "nothing has run")
    git(folder, "clone", "-q", "--bare", str(source.root), "origin.git")
    return folder / "origin.git"


def _site(pool: str, origin: Path, folder: Path, prefect: Prefect) -> Site:
    room = folder / f"room of {pool}"
    room.mkdir()
    return Site(pool, _clone(origin, folder / pool), room, prefect)


def _clone(origin: Path, target: Path) -> StagePipeline:
    git(target.parent, "clone", "-q", str(origin), str(target))
    clone = StagePipeline.__new__(StagePipeline)
    clone.root = target
    return clone


def follow(prefect: Prefect, identifier: str, seconds: float = 600) -> list[str]:
    """Wait for a flow run's end; return the names of the states that it was seen in."""
    seen: list[str] = []

    def look() -> dict[str, Any]:
        run = prefect.flow_run(identifier)
        if run["state_name"] not in seen[-1:]:
            seen.append(run["state_name"])
        return run

    ended = wait_for(look, lambda run: run["state_type"] in ENDED, seconds)
    assert ended["state_type"] == "COMPLETED", ended["state"]
    return seen


def kill_all_of(worker: "subprocess.Popen[bytes]") -> None:
    """Kill a worker and all that it has started, as a machine that is lost does."""
    worker.send_signal(signal.SIGSTOP)  # so that it notices nothing
    for process in psutil.Process(worker.pid).children(recursive=True):
        process.kill()
    worker.kill()
    worker.wait(30)


def test_gpu_stages_run_in_the_gpu_clone_alone_and_a_third_clone_runs_nothing(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster.cpu.worker(), cluster.gpu.worker():
        run = cluster.prefect.schedule("train", engine="pools")
        seen = follow(cluster.prefect, run)
        assert cluster.gpu.begun() == ["finetune@m", "evaluate@m"]
        assert cluster.cpu.begun() == ["clean@a", "split@a"]
        assert "Waiting" in seen, "a run that waits holds no slot"
        cpu, expected = cluster.cpu.clone, cluster.expected(rate=0.5)
        assert cpu.lock() == expected
        assert git(cpu.root, "ls-remote", "origin", "refs/downstream/*") == ""
        assert not list((cluster.gpu.clone.root / ".downstream/pool").glob("*/"))
        git(cpu.root, "add", "dvc.lock")
        git(cpu.root, *WHO, "commit", "-qm", "results")
        git(cpu.root, "push", "-q", "origin", "main")

        third = _clone(cpu.root.parent / "origin.git", tmp_path / "third")
        monkeypatch.chdir(third.root)
        for name, value in {**cluster.prefect.environment, **SOON}.items():
            monkeypatch.setenv(name, value)
        done = third.downstream("run", "--pull", api=cluster.prefect.api)
        assert done.returncode == 0, done.stderr
        assert (third.begun(), third.lock()) == ([], expected)
        # From a terminal too, with what no commit of a person's has.
        third.change("models.m.evaluate", {"seconds": 0.1})
        with third.start_downstream("run", "--engine=pools", api=cluster.prefect.api) as command:
            _, lines = command.communicate(timeout=400)
    assert command.returncode == 0, lines
    assert "evaluate@m | in the work pool gpu: flow run evaluate@m" in lines
    assert (third.begun(), cluster.gpu.begun()) == ([], ["evaluate@m"])
    assert third.plan().unfresh == []


def test_a_gpu_worker_that_is_killed_goes_on_from_the_checkpoint_when_it_is_started_again(
    cluster: Cluster,
) -> None:
    cluster.gpu.control('{"finetune@m": "checkpoint"}')
    with cluster.cpu.worker():
        with cluster.gpu.worker() as worker:
            rate = {"models.m.finetune.rate": 0.7}
            run = cluster.prefect.schedule("train", engine="pools", overrides=rate)
            wait_for((cluster.gpu.room / "checkpointed").exists, bool, 300)
            kill_all_of(worker)
        with cluster.gpu.worker():
            follow(cluster.prefect, run)
    assert cluster.gpu.events() == [
        "begin finetune@m",
        "begin finetune@m",
        "resume finetune@m",
        "end finetune@m",
        "begin evaluate@m",
        "end evaluate@m",
    ]
    assert len(set(ran := cluster.cpu.begun())) == len(ran), "no stage ran twice"
    assert cluster.cpu.clone.lock() == cluster.expected(rate=0.7)


def test_a_run_outlives_servers_that_are_away_or_answer_500(cluster: Cluster) -> None:
    cluster.gpu.control('{"finetune@m": "wait"}')
    with cluster.cpu.worker(), cluster.gpu.worker():
        rate = {"models.m.finetune.rate": 0.9}
        run = cluster.prefect.schedule("train", engine="pools", overrides=rate)
        wait_for((cluster.gpu.room / "waits").exists, bool, 300)
        # The stage ends, and its result is to be sent, while all three are away.
        cluster.to_prefect.cut()
        cluster.to_s3.cut(FAULT)
        (cluster.gpu.room / "go").touch()
        time.sleep(AWAY_SECONDS)
        cluster.postgresql.stop()
        cluster.to_prefect.mend()
        cluster.to_s3.cut()
        time.sleep(AWAY_SECONDS)
        cluster.postgresql.start()
        cluster.to_s3.mend()
        follow(cluster.prefect, run)
    assert cluster.gpu.begun() == ["finetune@m", "evaluate@m"]
    assert len(set(ran := cluster.cpu.begun())) == len(ran), "no stage ran twice"
    assert cluster.cpu.clone.lock() == cluster.expected(rate=0.9)
