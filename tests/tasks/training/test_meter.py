"""What is measured while a model trains."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tasks.errors import Diverged
from tasks.training import meter as _meter
from tasks.training.meter import LossMeter, Throughput, steps_per_reading


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [(1, 1), (30, 1), (200, 10), (400, 20), (40_000, 20), (40_001, 21), (10_000_000, 5000)],
)
def test_there_are_some_readings_and_never_very_many(num_steps: int, expected: int) -> None:
    assert steps_per_reading(num_steps) == expected


def meter_of(*losses: float) -> LossMeter:
    meter = LossMeter(torch.device("cpu"), "x")
    for step, loss in enumerate(losses):
        meter.add(torch.tensor(loss), step)
    return meter


def test_a_reading_is_the_mean_since_the_one_before_and_a_note_that_of_the_epoch() -> None:
    meter = meter_of(4.0, 2.0)
    assert (meter.read(), meter.note) == (3.0, "loss 3.0000")
    meter.add(torch.tensor(0.0), 2)
    assert (meter.read(), meter.note) == (0.0, "loss 2.0000")
    assert meter.epoch_mean() == 2.0


def test_a_reading_may_span_two_epochs() -> None:
    meter = meter_of(4.0)
    assert meter.epoch_mean() == 4.0
    meter.begin_epoch()
    meter.add(torch.tensor(2.0), 1)
    assert (meter.epoch_mean(), meter.read(), meter.count) == (2.0, 3.0, 1)


def test_it_goes_on_where_it_was() -> None:
    first, second = meter_of(4.0, 1.0), LossMeter(torch.device("cpu"), "x")
    first.begin_epoch()
    second.load_state_dict(first.state_dict())
    for meter in (first, second):
        meter.add(torch.tensor(1.0), 2)
    assert second.read() == first.read() == 2.0


def test_the_first_loss_that_is_not_finite_is_named() -> None:
    with pytest.raises(Diverged, match="x: the loss is NaN or infinite at step 1: lower"):
        meter_of(1.0, float("nan"), float("inf")).read()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time in seconds, which stands still unless it is set."""
    now = [100.0]
    monkeypatch.setattr(_meter, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("lengths", "name"), [([1, 1], "examples_per_second"), ([3, 5], "tokens_per_second")]
)
def test_the_throughput_is_in_what_the_lengths_count(
    lengths: list[int], name: str, clock: list[float]
) -> None:
    throughput = Throughput(np.array(lengths))
    throughput.add(sum(lengths))
    clock[0] += 4
    assert throughput.read() == {name: sum(lengths) / 4, "waiting_share": 0.0}
    clock[0] += 1
    assert throughput.read() == {name: 0.0, "waiting_share": 0.0}


def test_the_time_in_which_a_step_waits_for_its_batch_is_a_share_of_all(clock: list[float]) -> None:
    throughput = Throughput(np.array([1]))
    with throughput.waiting():
        clock[0] += 6
    clock[0] += 2
    assert throughput.read()["waiting_share"] == 0.75
