"""How a loss becomes a step: gradients over parts and ranks, clipping, the optimizer, its rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tasks.errors import BadSettings
from tasks.training.ranks import sum_gradients, sum_over_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from tasks.training.settings import TrainingSettings
    from tasks.training.task import Batch, Task

# The second is RoBERTa's (Liu et al., 2019): 0.999 remembers longer than a short training lasts.
BETAS = (0.9, 0.98)


class Optimizers:
    """The optimizers of a training, which an objective's ``step`` is given.

    Attributes:
        by_name: the optimizers, by the names that the task gives to what they train.
    """

    def __init__(
        self, task: Task, settings: TrainingSettings, device: torch.device, num_steps: int
    ) -> None:
        import torch

        self.by_name = {
            name: _optimizer(groups, settings) for name, groups in task.optimized().items()
        }
        self._shards = task.shards
        self._settings = settings
        self._device = device
        self._num_steps = num_steps
        self._autocast = torch.autocast(
            device.type, torch.bfloat16, enabled=uses_bf16(settings.precision)
        )
        if device.type == "cuda" and settings.precision == "auto":
            torch.set_float32_matmul_precision("high")  # TF32 for what autocast leaves in fp32
        self._compiled: dict[Callable[[Batch], Tensor], Callable[[Batch], Tensor]] = {}
        self._rate = 0.0
        self._norms: dict[str, Tensor] = {}

    def set_learning_rate(self, step: int) -> None:
        """Set every optimizer's rate for a step counted from 0."""
        share = learning_rate_share(self._settings, step, self._num_steps)
        self._rate = self._settings.learning_rate * share
        for optimizer in self.by_name.values():
            for group in optimizer.param_groups:
                group["lr"] = self._rate * group["scale"]

    def minimise(
        self, loss: Callable[[Batch], Tensor], parts: list[Batch], name: str = "model"
    ) -> Tensor:
        """Take one step of one optimizer.

        Args:
            loss: gives the loss of a part; a sum over its examples, divided by ``counts``.
            parts: this rank's batch, in parts. Where a part has ``counts``, the numbers that its
                losses are divided by, ``loss`` is given their sums over all parts and ranks.
            name: of the optimizer.

        Returns:
            The loss of the whole batch; a scalar on the device.
        """
        import torch

        optimizer = self.by_name[name]
        counts = torch.stack([part["counts"] * part["weight"] for part in parts]).sum(0)
        sum_over_ranks(counts)
        total = torch.zeros((), device=self._device)
        for number, part in enumerate(parts, start=1):
            if self._shards is not None:
                self._shards.begin_part(is_last=number == len(parts))
            with self._autocast:
                value = self._maybe_compiled(loss)({**part, "counts": counts}) * part["weight"]
            value.backward()
            total += value.detach()
        trained = [value for group in optimizer.param_groups for value in group["params"]]
        maximum = self._settings.maximum_gradient_norm
        if self._shards is None:
            sum_gradients(trained)
            norm = torch.nn.utils.clip_grad_norm_(trained, maximum)
        else:
            norm = self._shards.clip(trained, maximum)
        self._norms[name] = norm
        optimizer.step()
        for other in self.by_name.values():
            other.zero_grad(set_to_none=True)
        return sum_over_ranks(total)

    def metrics(self) -> dict[str, float]:
        """Return the last step's learning rate, and its gradients' norms before clipping."""
        norms = {
            "gradient_norm" if name == "model" else f"{name}.gradient_norm": float(norm)
            for name, norm in self._norms.items()
        }
        return {"learning_rate": self._rate, **norms}

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizers' tensors."""
        return {name: value.state_dict()["state"] for name, value in self.by_name.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the optimizers' tensors."""
        for name, optimizer in self.by_name.items():
            groups = optimizer.state_dict()["param_groups"]
            moments = {int(index): value for index, value in state.get(name, {}).items()}
            optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _maybe_compiled(self, loss: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
        if not self._settings.compile:
            return loss
        if loss not in self._compiled:
            self._compiled[loss] = compiled(loss)
        return self._compiled[loss]


def compiled(loss: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """Return a loss that is compiled when it is first called.

    Raises:
        BadSettings: (when it is called) torch cannot compile on this machine.
    """
    import torch

    torch.use_deterministic_algorithms(True)  # the compiler's own setting, too
    fast = torch.compile(loss)

    def call(batch: Batch) -> Tensor:
        try:
            return fast(batch)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise BadSettings(
                f"compile: true, but torch cannot compile here ({str(error).splitlines()[0]}): "
                "install a C++ compiler (g++), or set compile: false"
            ) from error

    return call


def uses_bf16(precision: str) -> bool:
    """Tell whether to compute in bf16: where the processor has instructions for it."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_tile"))


def learning_rate_share(settings: TrainingSettings, step: int, num_steps: int) -> float:
    """Return the share of the highest rate at a step counted from 0.

    It rises linearly, then falls to zero along a cosine (Loshchilov and Hutter, 2017) or a line.

    Args:
        settings: ``warmup``, a share of the steps, and ``schedule``.
        step: counted from 0.
        num_steps: of the whole training.
    """
    warmup = max(1, round(settings.warmup * num_steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, num_steps - warmup)
    return 1 - done if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


def _optimizer(groups: list[dict[str, Any]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return AdamW, or SGD where the settings ask for it.

    Biases, norms and other vectors are not decayed, nor what a group exempts. SGD takes no betas.
    """
    import torch

    split = []
    for group in groups:
        trained = [value for value in group["params"] if value.requires_grad]
        own = {"scale": group.get("scale", 1.0), "betas": group.get("betas", BETAS)}
        weight_decay = settings.weight_decay if group.get("decayed", True) else 0.0
        for decay, some in (
            (weight_decay, [value for value in trained if value.ndim >= 2]),
            (0.0, [value for value in trained if value.ndim < 2]),
        ):
            if some:
                split.append({"params": some, "weight_decay": decay, **own})
    if settings.sgd is not None:
        momentum = settings.sgd.model_dump()
        return torch.optim.SGD(split, lr=settings.learning_rate, fused=True, **momentum)
    return torch.optim.AdamW(split, lr=settings.learning_rate, fused=True)
