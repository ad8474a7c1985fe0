"""A metric log: every step once, whatever was killed."""

import json
from pathlib import Path

import pytest

from tasks.tracking.runs.journal import lines_file
from tasks.tracking.runs.metric_log import MetricLog


def written(folder: Path) -> list[tuple[int, dict[str, float]]]:
    found = [json.loads(text) for text in lines_file(folder).read_text().splitlines()]
    return [(line["step"], line["metrics"]) for line in found]


def test_metrics_are_named_by_their_training(tmp_path: Path) -> None:
    MetricLog(tmp_path, "twin.").log(20, {"loss": 2.5, "learning_rate": 1e-3})
    assert written(tmp_path) == [(20, {"twin.loss": 2.5, "twin.learning_rate": 1e-3})]


def test_what_was_known_before_a_kill_is_not_written_again(tmp_path: Path) -> None:
    first = MetricLog(tmp_path)
    for step in (20, 40, 60):
        first.log(step, {"loss": 1.0 / step})
    first.log(60, {"validation.accuracy": 0.5})
    resumed = MetricLog(tmp_path)
    for step in (40, 60, 80):
        resumed.log(step, {"loss": 1.0 / step})
        resumed.log(step, {"validation.accuracy": 0.5})
    assert [step for step, metrics in written(tmp_path) if "loss" in metrics] == [20, 40, 60, 80]
    steps = [step for step, metrics in written(tmp_path) if "validation.accuracy" in metrics]
    assert steps == [60, 80]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    MetricLog(tmp_path).log(1, {"loss": float("inf"), "gradient_norm": float("nan"), "rate": 1})
    assert written(tmp_path) == [(1, {"rate": 1.0})]


def test_steps_that_are_only_counted_go_on(tmp_path: Path) -> None:
    MetricLog(tmp_path).log(500, {"loss": 1.0})
    log = MetricLog(tmp_path, "system/")
    assert log.next_step() == 0
    log.log(0, {"cpu": 10.0})
    assert MetricLog(tmp_path, "system/").next_step() == 1


def test_without_a_journal_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = MetricLog(None)
    log.log(1, {"loss": 1.0})
    assert (log.next_step(), list(tmp_path.iterdir())) == (0, [])


def test_a_disk_that_is_full_costs_the_log_and_not_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MetricLog(tmp_path)
    lines_file(tmp_path).symlink_to("/dev/full")
    log.log(1, {"loss": 1.0})
    log.log(2, {"loss": 1.0})
    said = capsys.readouterr().err
    assert said == (
        f"warning: {tmp_path}: No space left on device; MLflow will not see the rest of a curve\n"
    )


def test_the_time_inside_is_summed(tmp_path: Path) -> None:
    log = MetricLog(tmp_path)
    assert log.seconds == 0
    log.log(1, {"loss": 1.0})
    assert 0 < log.seconds < 5
