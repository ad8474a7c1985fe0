"""A training tells MLflow of itself while it runs, and never waits for it."""

import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files
from tasks.errors import Diverged, Preempted
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings
from tasks.tracking import store
from tasks.tracking.registry.registry import reconcile
from tasks.tracking.runs import journal, live, metric_log, outbox
from tasks.tracking.runs.live import live_run, system_metrics
from tasks.tracking.runs.page import mlflow_page
from tasks.tracking.runs.runs import record_run
from tasks.tracking.store import opened
from tests.mlflow_server import MlflowServer

SETTINGS = {
    "objective": "masked",
    "architecture": "bert",
    "bert": {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64},
    "masked": {"tokens": 48, "vocabulary_size": 600},
    "training": {"epochs": 4, "batch_size": 8},
}
AT_EVERY_READING = [
    "checkpoint_seconds",
    "gradient_norm",
    "learning_rate",
    "loss",
    "tokens_per_second",
    "waiting_share",
]
AWAY = "http://127.0.0.1:9"
NOTHING = (Path("train"), Path("validation"))


def about(texts: tuple[Path, Path], stage_hash: str = "abc") -> dict[str, Any]:
    return {
        "stage": "pretrain",
        "row": "small",
        "stage_hash": stage_hash,
        "params": {"epochs": 4},
        "tags": {},
        "inputs": {str(path): f"md5 of {path.stem}" for path in texts},
    }


def train(texts: tuple[Path, Path], output: Path, kept: Path | None) -> dict[str, Any]:
    """Pretrain, and return the metrics."""
    settings = Settings.parse(SETTINGS, "pretrain")
    checkpoints = output.with_name(f"{output.name}-checkpoints")
    return pretrain.run("small", *texts, output, settings, 0, checkpoints, kept)


@pytest.fixture(scope="module")
def undisturbed(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The content of a backbone that was trained without a word to MLflow."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    train(texts, output, None)
    return files.sha256_of_folder(output)


@pytest.fixture
def server(tmp_path: Path, new_store: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(new_store, folder / "mlflow.db")
    server = MlflowServer(folder)
    server.start()
    yield server
    server.kill()


def test_a_server_killed_in_the_middle_of_a_training_costs_nothing(
    empty_workspace: Path,
    server: MlflowServer,
    texts: tuple[Path, Path],
    undisturbed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 0.2)
    append = journal.append

    def append_and_kill(folder: Path, line: dict[str, Any]) -> None:
        append(folder, line)
        if line.get("step") == 40:
            while not (folder / "sent.json").exists():
                time.sleep(0.05)
            server.kill()

    with live_run(**about(texts)) as folder:
        monkeypatch.setattr(metric_log, "append", append_and_kill)
        metrics = train(texts, Path("out"), folder)
    assert files.sha256_of_folder(Path("out")) == undisturbed
    assert record_run(**about(texts), metrics=metrics) is None
    written = metrics_in(folder)
    assert set(AT_EVERY_READING) <= {name for name, _ in written}

    server.start()
    told: list[str] = []
    reconcile([], tell=told.append)
    assert told == ["2 record(s) that had waited for MLflow are sent"]
    assert journal.journals() == []
    assert in_mlflow(metrics) == Counter([*written, *ends(metrics)])
    reconcile([], tell=told.append)
    assert len(told) == 1
    assert in_mlflow(metrics) == Counter([*written, *ends(metrics)])
    page = mlflow_page("pretrain@small", "abc")
    with opened() as client:
        run = the_run(client)
    assert run.info.status == "FINISHED"
    assert [len(data.dataset.digest) for data in run.inputs.dataset_inputs] == [12, 17]
    place = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    assert page == f"{server.url}/{place}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server.url.replace('//', '//me:secret@')}/")
    assert mlflow_page("pretrain@small", "abc") == page
    assert mlflow_page("pretrain@small", "of another machine") is None
    assert mlflow_page("pretrain@other", "abc") is None


def the_run(client: Any) -> Any:
    number = client.get_experiment_by_name("small").experiment_id
    (run,) = client.search_runs([number])
    return run


def metrics_in(folder: Path) -> list[tuple[str, int]]:
    """Return (name, step) of every metric of a journal."""
    return [
        (name, line["step"])
        for line, _ in journal.lines(folder)
        for name in line.get("metrics", {})
    ]


def ends(metrics: dict[str, Any]) -> list[tuple[str, int]]:
    """Return (name, step) of what the record of a training adds."""
    curve = [("training_loss", epoch) for epoch in range(len(metrics["training_loss"]))]
    return curve + [(f"validation.{name}", 0) for name in metrics["validation"]]


def in_mlflow(metrics: dict[str, Any]) -> Counter[tuple[str, int]]:
    """Return how often MLflow has each (name, step) of the one run."""
    with opened() as client:
        run = the_run(client)
        return Counter(
            (name, point.step)
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        )


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_training_does_not_wait_for_a_server_that_never_answers(
    empty_workspace: Path,
    silent_server: str,
    texts: tuple[Path, Path],
    undisturbed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 0.1)
    monkeypatch.setattr(store, "ANSWER_TIMEOUT_SECONDS", 1.0)
    used: list[metric_log.MetricLog] = []

    opened = metric_log.MetricLog.__init__

    def noted(log: metric_log.MetricLog, *arguments: Any) -> None:
        opened(log, *arguments)
        used.append(log)

    monkeypatch.setattr(metric_log.MetricLog, "__init__", noted)
    with live_run(**about(texts)) as folder:
        metrics = train(texts, Path("out"), folder)
        trained = time.monotonic()
    record_run(**about(texts), metrics=metrics)
    ended = time.monotonic()
    assert files.sha256_of_folder(Path("out")) == undisturbed
    # A line is in the file within a moment, also while another thread imports MLflow; an answer
    # would be waited for a second.
    assert 0 < sum(log.seconds for log in used) < 0.25
    assert ended - trained < 6
    assert "Training goes on; its metrics are kept, and sent later" in capsys.readouterr().err
    assert outbox.waiting() == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [(Diverged("x"), "FAILED"), (Preempted("x"), "KILLED"), (SystemExit(143), "KILLED")],
    ids=["diverged", "preempted", "ended by a signal"],
)
def test_a_training_that_fails_is_shown_as_failed(
    workspace: Path, error: BaseException, status: str
) -> None:
    def fail() -> None:
        with live_run(**{**about(NOTHING), "inputs": {}}) as folder:
            metric_log.MetricLog(folder).log(1, {"loss": 2.0})
            raise error

    with pytest.raises(type(error)):
        fail()
    with opened() as client:
        run = the_run(client)
    assert (run.info.status, run.data.metrics["loss"]) == (status, 2.0)


def test_what_the_machine_does_is_noted(
    empty_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    stop, folder = (
        threading.Event(),
        journal.begin(live.describe_run(**{**about(NOTHING), "inputs": {}})),
    )
    thread = threading.Thread(target=live._log_system, args=(folder, stop))
    thread.start()
    while not metrics_in(folder):
        time.sleep(0.05)
    stop.set()
    thread.join()
    assert ("system/cpu_utilization_percentage", 0) in metrics_in(folder)


def test_a_training_that_is_stopped_hardly_waits_for_a_server_that_never_answers(
    empty_workspace: Path,
    silent_server: str,
    texts: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 0.1)
    stopped: list[float] = []

    def stop() -> None:
        with live_run(**about(texts)):
            time.sleep(0.5)  # a line is on its way by now
            stopped.append(time.monotonic())
            raise Preempted("stopped by SIGTERM")

    with pytest.raises(Preempted):
        stop()
    assert time.monotonic() - stopped[0] < 2 * live.SECONDS_TO_STOP + 2


ROWS = "37, 1000, 24000\n0, 512, 24000\n"


def test_cpu_and_memory_are_metrics_in_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = system_metrics()
    assert list(found) == [
        "cpu_utilization_percentage",
        "system_memory_usage_megabytes",
        "system_memory_usage_percentage",
        "stage_memory_usage_megabytes",
    ]
    assert 0 <= found["cpu_utilization_percentage"] <= 100
    own, whole = found["stage_memory_usage_megabytes"], found["system_memory_usage_megabytes"]
    assert 10 < own < whole * 2


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ROWS,
            {
                "gpu_0_utilization_percentage": 37.0,
                "gpu_0_memory_usage_megabytes": pytest.approx(1048.576),
                "gpu_0_memory_usage_percentage": pytest.approx(4.1667, abs=1e-3),
                "gpu_1_utilization_percentage": 0.0,
                "gpu_1_memory_usage_megabytes": pytest.approx(536.870912),
                "gpu_1_memory_usage_percentage": pytest.approx(2.1333, abs=1e-3),
            },
        ),
        ("[N/A], 1, 2\n", {}),
    ],
    ids=["two GPUs", "a driver that does not know"],
)
def test_gpus_are_those_that_the_stage_may_use(
    rows: str, expected: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver's program, as far as it is asked: no machine of ours has a GPU.
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nprintf "{rows}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    found = {name: value for name, value in system_metrics().items() if name.startswith("gpu")}
    assert found == expected
    assert (tmp_path / "asked").read_text().endswith("--id=1,3\n")
