"""The one training loop: every objective, pretraining and finetuning alike.

It knows nothing of tokens or pixels: a task gives it batches and takes the steps. Nothing in a step
waits for the device: the loss is read back only every few steps, for the line of progress and the
metric log. The next batch is made in a thread beside the step. The state at step *t* is the
weights, the optimizers and *t* (and the sums of the metrics), so that a training that was stopped
goes on exactly.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tasks.checks import run_checks
from tasks.errors import BadInput, BadSettings, Preempted
from tasks.progress import progress, say
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training.batches import BatchOrder
from tasks.training.determinism import derive_seed
from tasks.training.meter import LossMeter, Throughput, steps_per_reading
from tasks.training.optimizers import Optimizers, uses_bf16
from tasks.training.preemption import Preemption, preemption
from tasks.training.ranks import agreed, num_ranks, rank
from tasks.training.task import ExampleRandom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import Tensor

    from tasks.training.checkpoints import Checkpoints
    from tasks.training.settings import TrainingSettings
    from tasks.training.task import Batch, Task


class Callback(Protocol):
    """Is called after each epoch."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the last call has measured, for the metric log."""

    def after_epoch(self, epoch: int) -> bool:
        """Evaluate the model after an epoch, counted from 1; True ends the training."""

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be kept in a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""


class Watch(Protocol):
    """Looks at a training on its way, on every rank (``watch``)."""

    def begin(self, training: Training) -> None:
        """Get to know the training, before its first step or where it goes on."""

    def is_due(self, step: int) -> bool:
        """Tell whether to look after so many steps; once it has looked, not again."""

    def look(self, step: int) -> dict[str, float]:
        """Validate; return what is measured."""

    def figures(self, throughput: Mapping[str, float]) -> dict[str, float]:
        """Return what follows from the throughput of all ranks."""

    def end(self) -> None:
        """Leave in the model what is kept."""

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be kept in a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""


class Training(NamedTuple):
    """What a watch is told of a training."""

    task: Task
    description: str
    seed: int
    num_steps: int
    device: torch.device
    uses_bf16: bool


def train(
    task: Task,
    settings: TrainingSettings,
    seed: int,
    description: str,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
    metric_log: MetricLog | None = None,
    watch: Watch | None = None,
) -> list[float]:
    """Train the task's model in place, from the last checkpoint on where there is one.

    Args:
        task: the objective and its data.
        settings: epochs, batch size, learning rate and so on.
        seed: what the order of the batches and all random numbers follow from.
        description: what the progress is called.
        callback: is called after every epoch.
        checkpoints: where to go on from, and to write to.
        metric_log: keeps metrics step by step.
        watch: looks at the model on the way.

    Returns:
        The mean training loss of each epoch; the last may have been cut short.

    Raises:
        BadInput: a batch larger than the corpus, or than the device's memory.
        BadSettings: an operator does not repeat its bytes on this device.
        Diverged: a loss was NaN or infinite; the message names the step.
        Preempted: SIGTERM came; a checkpoint was written.
    """
    import torch

    try:
        with preemption() as stop:
            training = _Training(
                task, settings, seed, description, callback, checkpoints, metric_log, watch
            )
            return training.run(stop)
    except torch.OutOfMemoryError as error:
        raise BadInput(
            f"{description}: the device's memory is too small ({str(error).split('.')[0]}): lower "
            "batch_size or the number of tokens, or raise accumulation"
        ) from error
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        raise BadSettings(
            f"{description}: {str(error).split(',')[0]} on this device: set nondeterministic: true "
            "(its bytes will not repeat), or train on another device"
        ) from error


class _Training:
    """A training at step ``step``."""

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        seed: int,
        description: str,
        callback: Callback | None,
        checkpoints: Checkpoints | None,
        metric_log: MetricLog | None,
        watch: Watch | None = None,
    ) -> None:
        import torch

        self._task = task
        self._seed = seed
        self._num_parts = settings.accumulation
        self._description = description
        self._callback = callback
        writes = rank() == 0 or task.shards is not None
        self._checkpoints = checkpoints if writes else None
        self._metric_log = metric_log if metric_log and rank() == 0 else MetricLog(None)
        if settings.batch_size > len(task.lengths):
            raise BadInput(
                f"{description}: batch_size is {settings.batch_size}, but there are "
                f"{len(task.lengths)} examples to train on: lower it"
            )
        if settings.nondeterministic:
            torch.set_deterministic_debug_mode("default")
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._order = BatchOrder(task.lengths, settings.batch_size, seed)
        self._num_steps = settings.num_steps(self._order.steps_per_epoch, int(task.lengths.sum()))
        task.model.to(self._device).train()
        self._optimizers = Optimizers(task, settings, self._device, self._num_steps)
        self._steps_per_reading = steps_per_reading(self._num_steps)
        self._meter = LossMeter(self._device, description)
        self._throughput = Throughput(task.lengths)
        self._losses: list[float] = []
        self._step = 0
        self._over = False
        self._watch = watch
        if watch is not None:
            bf16 = uses_bf16(settings.precision)
            about = Training(task, description, seed, self._num_steps, self._device, bf16)
            watch.begin(about)
        if checkpoints is not None:
            self._resume(checkpoints)

    def run(self, stop: Preemption) -> list[float]:
        """Take the steps that are left."""
        run_checks()
        with (
            progress(self._description, self._num_steps, self._step) as reporter,
            ThreadPoolExecutor(1, "batches") as maker,
        ):
            batches = self._batches(maker)
            while not self._ended(stop):
                amount, parts = next(batches)
                self._meter.add(self._take_step(parts), self._step)
                self._throughput.add(amount)
                self._step += 1
                if self._step % self._steps_per_reading == 0 or self._step == self._num_steps:
                    self._read()
                reporter.advance(note=self._meter.note)
                if self._is_to_be_saved(stop):
                    self._save()
                if stop.requested:
                    self._finish_saving()
                    raise Preempted(
                        f"{self._description}: stopped by SIGTERM at step {self._step:,}: run "
                        "again to go on from there"
                    )
        self._save()
        self._finish_saving()
        if self._watch is not None:
            self._watch.end()
        if self._task.shards is not None:
            self._task.shards.end()
        return self._losses

    def _is_to_be_saved(self, stop: Preemption) -> bool:
        wanted = stop.requested or (self._checkpoints is not None and self._checkpoints.due)
        return wanted if self._task.shards is None else self._task.shards.agreed(wanted)

    def _finish_saving(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.finish()

    def _read(self) -> None:
        throughput = self._throughput.read()
        metrics = {**self._optimizers.metrics(), **throughput}
        if self._watch is not None:
            metrics |= self._watch.figures(throughput)
        if self._checkpoints is not None:
            metrics["checkpoint_seconds"] = self._checkpoints.seconds
        self._metric_log.log(self._step, {"loss": self._meter.read(), **metrics})

    def _take_step(self, parts: list[Batch]) -> Tensor:
        import torch

        torch.manual_seed(derive_seed(self._seed, "step", self._step, rank()))
        self._optimizers.set_learning_rate(self._step)
        on_device = [
            {name: value.to(self._device, non_blocking=True) for name, value in part.items()}
            for part in parts
        ]
        return self._task.step(self._optimizers, on_device)

    def _ended(self, stop: Preemption) -> bool:
        """Look if that is due, close an epoch that is full; tell whether the training is over."""
        if self._watch is not None and self._watch.is_due(self._step):
            self._look(self._watch, stop)
        is_last = self._step == self._num_steps
        if self._meter.count == self._order.steps_per_epoch or (is_last and self._meter.count):
            mean = self._meter.epoch_mean()
            if self._callback is not None:
                self._over = self._call_back(self._callback, stop)
            self._losses.append(mean)
            self._meter.begin_epoch()
        return self._over or is_last

    def _look(self, watch: Watch, stop: Preemption) -> None:
        try:
            with stop.at_once():
                measured = watch.look(self._step)
        except Preempted:
            if self._task.shards is None:  # else all have to save, and the others do not know
                self._save()  # without it, so that it is made when the training goes on
            raise
        self._metric_log.log(self._step, measured)
        self._throughput.restart()

    def _call_back(self, callback: Callback, stop: Preemption) -> bool:
        before = callback.state_dict()
        try:
            with stop.at_once():
                is_over = agreed(rank() == 0 and callback.after_epoch(len(self._losses) + 1))
        except Preempted:
            callback.load_state_dict(before)  # it may just have ended, and is called again
            self._save()
            raise
        if rank() == 0:
            self._metric_log.log(self._step, callback.metrics)
        self._throughput.restart()
        return is_over

    def _batches(self, maker: ThreadPoolExecutor) -> Iterator[tuple[int, list[Batch]]]:
        """Yield this rank's batches, each made while the step before it is taken.

        With each comes the length of the whole batch, over all ranks.
        """
        waiting = [maker.submit(self._make, self._step)]
        for step in range(self._step + 1, self._num_steps + 1):
            with self._throughput.waiting():
                ready = waiting.pop().result()
            if step < self._num_steps:
                waiting.append(maker.submit(self._make, step))
            yield ready

    def _make(self, step: int) -> tuple[int, list[Batch]]:
        """Return batch ``step`` as far as this rank has it, in parts.

        A rank that has no example of a short batch takes one, and gives it no weight.
        """
        import torch

        indices = self._order.indices(step)
        positions = np.arange(rank(), len(indices), num_ranks())
        weight = torch.ones(()) if len(positions) else torch.zeros(())
        if not len(positions):
            positions = np.zeros(1, dtype=np.int64)
        num_parts = min(self._num_parts, len(positions))
        if self._task.shards is not None:
            num_parts = self._task.shards.num_parts(num_parts, len(indices))
        parts = []
        for part_of in np.array_split(positions, num_parts):
            batch = self._task.batch(indices[part_of], ExampleRandom(self._seed, step, part_of))
            part = {**batch, "weight": weight}
            if self._device.type == "cuda":  # else the copy to the device waits
                part = {name: value.pin_memory() for name, value in part.items()}
            parts.append(part)
        return int(self._task.lengths[indices].sum()), parts

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        run_checks()
        self._meter.require_finite()
        callback_state = self._callback.state_dict() if self._callback is not None else {}
        self._checkpoints.save(
            self._step,
            {
                "step": self._step,
                "over": self._over,
                "losses": self._losses,
                "meter": self._meter.state_dict(),
                "weights": weights_of(self._task.model),
                "optimizers": self._optimizers.state_dict(),
                "callback": callback_state,
                **({"watch": self._watch.state_dict()} if self._watch is not None else {}),
            },
        )

    def _resume(self, checkpoints: Checkpoints) -> None:
        import torch

        weights = weights_of(self._task.model)
        # Weights, AdamW's two means, and the best weights so far.
        checkpoints.require_room(4 * sum(value.nbytes for value in weights.values()))
        kept = checkpoints.load()
        if kept is None:
            return
        with torch.no_grad():
            for name, value in kept["weights"].items():
                weights[name].copy_(value)
        self._step, self._over, self._losses = kept["step"], kept["over"], kept["losses"]
        self._meter.load_state_dict(kept["meter"])
        self._optimizers.load_state_dict(kept.get("optimizers", {}))
        if self._callback is not None:
            self._callback.load_state_dict(kept["callback"])
        if self._watch is not None:
            self._watch.load_state_dict(kept["watch"])
        if rank() == 0:
            say(f"{self._description}: goes on from the checkpoint of step {self._step:,}")


def weights_of(model: Any) -> dict[str, Tensor]:
    """Return a model's parameters and buffers, each once: shared ones have several names."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
