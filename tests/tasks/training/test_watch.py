"""A training that is validated on its way: what is kept, and that it goes on exactly."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tasks.contracts import files
from tasks.errors import Diverged, Preempted
from tasks.models.architectures import gpt2, lstm
from tasks.objectives import causal
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings
from tasks.tracking.runs.journal import lines
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.evaluation import evaluate_sums, shared_by_ranks
from tasks.training.loop import train
from tasks.training.ranks import launch, rank
from tasks.training.settings import LongTrainingSettings
from tasks.training.watch import BestWeights, flops_of_length, score_of
from tests.tasks.training.test_loop import Line, weights

SETTINGS: dict[str, Any] = {
    "max_steps": 10, "batch_size": 16, "learning_rate": 0.05, "precision": "fp32"
}  # fmt: skip


class Watched(Line):
    """A line whose validation gives the scores that a test wants, and notes the weights."""

    def __init__(self, scores: dict[int, float], stop_in: int | None = None) -> None:
        super().__init__()
        self.seen: dict[int, list[float]] = {}
        self._scores = list(scores.values())
        self._at = list(scores)
        self._stop_in = stop_in

    def validate(self) -> dict[str, float]:
        """Return the next score."""
        step = self._at[len(self.seen)]
        if step == self._stop_in:
            os.kill(os.getpid(), signal.SIGTERM)
        self.seen[step] = weights(self)
        return {"accuracy": 0.0, "loss": self._scores[len(self.seen) - 1]}


def trained(
    task: Line, folder: Path | None = None, keep: str | None = None, log: MetricLog | None = None
) -> list[float]:
    settings = LongTrainingSettings.parse(SETTINGS, "training")
    checkpoints = Checkpoints(folder) if folder else None
    watch = BestWeights(4, keep)
    return train(task, settings, 0, "line", None, checkpoints, log, watch)


def test_it_is_validated_every_so_many_steps_and_at_the_end_and_the_best_is_kept() -> None:
    task = Watched({4: 3.0, 8: 1.0, 10: 2.0})
    losses = trained(task)
    assert list(task.seen) == [4, 8, 10]
    assert weights(task) == task.seen[8] != task.seen[10]
    assert task.about == {"steps": 8}
    assert len(losses) == 3  # epochs of four steps, of which the last is cut short


def test_weights_that_no_validation_can_compare_are_an_error_not_a_choice() -> None:
    nothing = float("nan")
    with pytest.raises(Diverged, match=r"line: every validation gave NaN or infinity.*lower"):
        trained(Watched({4: nothing, 8: nothing, 10: nothing}))
    task = Watched({4: nothing, 8: 2.0, 10: nothing})
    trained(task)
    assert weights(task) == task.seen[8]


def test_the_last_can_be_kept_and_is_what_a_training_without_looks_ends_in() -> None:
    task, unseen = Watched({4: 3.0, 8: 1.0, 10: 2.0}), Line()
    trained(task, keep="last")
    train(unseen, LongTrainingSettings.parse(SETTINGS, "training"), 0, "line")
    assert weights(task) == task.seen[10] == weights(unseen)
    assert task.about == {"steps": 10}


@pytest.mark.parametrize("stop_at", [2, 4, 9])
def test_one_that_was_stopped_ends_in_the_same_weights(tmp_path: Path, stop_at: int) -> None:
    scores = {4: 1.0, 8: 2.0, 10: 3.0}
    undisturbed = Watched(scores)
    trained(undisturbed)
    first = Watched(scores)
    first._stop_at = stop_at
    with pytest.raises(Preempted):
        trained(first, tmp_path)
    left = {step: score for step, score in scores.items() if step not in first.seen}
    resumed = Watched(left)
    trained(resumed, tmp_path)
    assert {**first.seen, **resumed.seen} == undisturbed.seen
    assert weights(resumed) == weights(undisturbed) == undisturbed.seen[4]


def test_a_validation_that_sigterm_ends_is_made_when_it_goes_on(tmp_path: Path) -> None:
    scores = {4: 2.0, 8: 1.0, 10: 3.0}
    undisturbed = Watched(scores)
    trained(undisturbed)
    with pytest.raises(Preempted):
        trained(Watched(scores, stop_in=8), tmp_path)
    resumed = Watched({8: 1.0, 10: 3.0})
    trained(resumed, tmp_path)
    assert weights(resumed) == undisturbed.seen[8]


def test_what_is_measured_stands_in_the_metric_log(tmp_path: Path) -> None:
    trained(Watched({4: 3.0, 8: 1.0, 10: 2.0}), log=MetricLog(tmp_path))
    found = [line for line, _ in lines(tmp_path)]
    curve = {
        line["step"]: line["metrics"]["validation.loss"]
        for line in found
        if "validation.loss" in line["metrics"]
    }
    assert curve == {4: 3.0, 8: 1.0, 10: 2.0}
    assert any(line["metrics"].get("model_flops_per_second", 0) > 0 for line in found)


def test_weights_are_compared_by_the_first_score_that_is_known() -> None:
    assert score_of({"accuracy": 1.0, "loss": 0.5}) == ("loss", 0.5)
    assert score_of({"reconstruction_error": 0.2}) == ("reconstruction_error", 0.2)


def prepared(architecture: Any, sizes: dict[str, int], texts: tuple[Path, Path]) -> causal.Causal:
    make_deterministic(0)
    settings = causal.Settings(tokens=32, vocabulary_size=400)
    return causal.prepare(architecture, architecture.Settings(**sizes), settings, *texts)


def test_the_operations_of_a_token_are_those_of_all_products(texts: tuple[Path, Path]) -> None:
    width, tokens = 32, 32
    sizes = {"layers": 2, "hidden_size": width, "heads": 2, "positions": tokens}
    task = prepared(gpt2, sizes, texts)
    vocabulary = task._tokenizer.get_vocab_size()
    # Queries, keys, values, their output and two layers of four times the width; attention.
    layer = 12 * width * width + 2 * tokens * width
    forward = 2 * (2 * layer + vocabulary * width)
    before = [value.clone() for value in task.model.parameters()]
    assert flops_of_length(task, 0, torch.device("cpu")) == pytest.approx(3 * forward)
    assert all(one.equal(other) for one, other in zip(before, task.model.parameters(), strict=True))
    assert task.model.training


def test_operations_that_torch_cannot_count_are_not_told(texts: tuple[Path, Path]) -> None:
    task = prepared(lstm, {"hidden_size": 16}, texts)
    assert flops_of_length(task, 0, torch.device("cpu")) == 0


def measured_by_ranks() -> tuple[dict[str, float], list[int]]:
    """Add up five batches; return the sums, and which of them this rank has measured."""
    numbers = [{"x": torch.tensor([float(number)])} for number in range(5)]
    seen: list[int] = []

    def measure(batch: dict[str, torch.Tensor]) -> dict[str, float]:
        seen.append(int(batch["x"]))
        return {"sum": SUMMANDS[int(batch["x"])], f"of rank {rank()}": 1.0}

    with shared_by_ranks():
        totals = evaluate_sums(nn.Linear(1, 1), numbers, measure)
    return dict(totals), seen


SUMMANDS = (0.1, 1e16, 0.7, -1e16, 0.3)
"""Whose sum is another in any other order."""


def test_ranks_share_the_batches_and_come_to_the_sums_of_one_that_measures_all() -> None:
    totals, seen = launch(2, measured_by_ranks)
    assert totals == {"sum": sum(SUMMANDS), "of rank 0": 3.0, "of rank 1": 2.0}
    assert seen == [0, 2, 4]


def test_a_backbone_that_is_watched_says_after_how_many_steps_it_was_best(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    training = {"max_tokens": 1500, "batch_size": 8, "validate_every": 3, "precision": "fp32"}
    raw = {
        "objective": "masked",
        "architecture": "bert",
        "bert": {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 32},
        "masked": {"tokens": 24, "vocabulary_size": 400},
        "training": training,
        "linear_probe": 0,
    }
    settings = Settings.parse(raw, "pretrain")
    metrics = stage.run("x", *texts, tmp_path / "out", settings, 0, tmp_path / "kept", tmp_path)
    about = files.read_json(tmp_path / "out/model/downstream.json")
    found = [line for line, _ in lines(tmp_path)]
    curve = {
        line["step"]: line["metrics"]["validation.loss"]
        for line in found
        if "validation.loss" in line["metrics"]
    }
    *ahead, last = curve
    assert ahead == list(range(3, 3 * len(ahead) + 1, 3))
    assert last > ahead[-1]
    assert metrics["validation"]["loss"] == pytest.approx(min(curve.values()), rel=1e-6)
    assert curve[about["steps"]] == min(curve.values())
