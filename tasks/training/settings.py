"""The settings that every training has; their values stand in the stages' sections."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import settings as contract


class SgdSettings(contract.Settings):
    """Gradient descent with momentum (Polyak, 1964), in place of AdamW."""

    momentum: float = Field(0.9, ge=0, lt=1, description="share of the last step that goes on")
    nesterov: bool = Field(
        False, description="look ahead along the momentum (Nesterov, 1983; Sutskever et al., 2013)"
    )

    @model_validator(mode="after")
    def _there_is_something_to_look_along(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov looks ahead along the momentum, which is 0: raise it")
        return self


class TrainingSettings(contract.Settings):
    """How long, how fast and how exactly to train."""

    epochs: int = Field(10, ge=1, description="passes over the training split")
    batch_size: int = Field(32, ge=1, description="examples a step, over all devices")
    accumulation: int = Field(1, ge=1, description="parts in which a device works off its batch")
    devices: int = Field(1, ge=1, le=1024, description="GPUs, or processes on a CPU, that train")
    learning_rate: float = Field(1e-3, gt=0, description="the optimizer's, at its highest")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps the rate rises in")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="how the rate falls to 0")
    weight_decay: float = Field(
        0.01, ge=0, description="AdamW's; with sgd, of the L2 penalty that the gradients have"
    )
    sgd: SgdSettings | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="train by stochastic gradient descent with momentum; null: by AdamW",
    )
    maximum_gradient_norm: float = Field(1.0, gt=0, description="gradients are clipped to it")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the processor multiplies it faster"
    )
    compile: bool = Field(False, description="torch.compile the loss; for GPUs")
    nondeterministic: Literal[True] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: allow operators that do not give the same bytes again; for GPUs that "
        "have no other",
    )

    def num_devices(self) -> int:
        """Return on how many devices is trained."""
        return self.devices

    def num_steps(self, steps_per_epoch: int, tokens_per_epoch: int) -> int:  # noqa: ARG002 - some do
        """Return how many steps a training takes.

        Args:
            steps_per_epoch: batches in which each example stands once.
            tokens_per_epoch: of all examples; how many there are, for images.
        """
        return steps_per_epoch * self.epochs

    def modules(self) -> list[str]:
        """Return what is only used on several devices."""
        return ["tasks.training.launcher"] if self.devices > 1 else []

    @model_validator(mode="after")
    def _a_batch_reaches_every_device(self) -> Self:
        if self.batch_size < self.devices:
            raise ValueError(
                f"batch_size ({self.batch_size}) is smaller than devices ({self.devices})"
            )
        return self


class LongTrainingSettings(TrainingSettings):
    """What the training of a backbone may have besides: an end of its own, and looks on the way."""

    max_steps: int | None = Field(
        None,
        ge=1,
        json_schema_extra=contract.NEUTRAL,
        description="end after so many steps, wherever in an epoch; in place of epochs",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        json_schema_extra=contract.NEUTRAL,
        description="end when so many tokens (or images) have been shown; in place of epochs",
    )
    validate_every: int | None = Field(
        None,
        ge=1,
        json_schema_extra=contract.NEUTRAL,
        description="validate after so many steps, and at the end, on all ranks; null: at the end",
    )
    recompute: Literal[True] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: compute a transformer's layers again in the backward pass, to hold less",
    )
    nodes: int | None = Field(
        None,
        ge=2,
        le=1024,
        json_schema_extra=contract.NEUTRAL,
        description="machines that train together, each with so many devices; null: one",
    )
    elastic: Literal[True] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: devices is the most; train, and go on, on as many as there are. The "
        "bytes then depend on how many there were, which the result says",
    )
    sharded: Literal[True] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: a transformer's weights, gradients and moments lie in shards, one on "
        "each rank (FSDP2); null: each rank has all",
    )
    restarts: int | None = Field(
        None,
        ge=1,
        json_schema_extra=contract.NEUTRAL,
        description="how often all ranks start again from the last checkpoint after one was lost",
    )
    keep: Literal["last"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="last: of the weights that were validated, the last; null: the best",
    )

    def num_steps(self, steps_per_epoch: int, tokens_per_epoch: int) -> int:
        """Return how many steps a training takes; of ``max_tokens``, by the mean of an epoch."""
        if self.max_steps is not None:
            return self.max_steps
        if self.max_tokens is not None:
            return max(1, -(-self.max_tokens * steps_per_epoch // tokens_per_epoch))
        return super().num_steps(steps_per_epoch, tokens_per_epoch)

    def modules(self) -> list[str]:
        """Return what is only used by trainings that are looked at, or hold less in memory."""
        watched = ["tasks.training.watch"] if self.validate_every is not None else []
        holds_less = ["tasks.objectives._recompute"] if self.recompute else []
        several: list[str] = []
        if self.elastic:
            several = ["tasks.training.spread.elastic"]
        if self.sharded:
            several += [
                "tasks.training.spread.shards",
                "tasks.training.spread.shard_checkpoints",
            ]
        if self.nodes is not None:
            several += ["tasks.training.launcher", "tasks.training.spread.nodes"]
        return [*dict.fromkeys([*super().modules(), *watched, *holds_less, *several])]

    def takes_fewer_devices(self) -> bool:
        """Tell whether the training goes on on fewer devices, too."""
        return bool(self.elastic)

    def num_training_processes(self) -> int:
        """Return in how many processes is trained, on all nodes."""
        return self.devices * (self.nodes or 1)

    @model_validator(mode="after")
    def _there_is_one_end(self) -> Self:
        ends = {"epochs", "max_steps", "max_tokens"} & self.model_fields_set
        given = sorted(name for name in ends if getattr(self, name) is not None)
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say when to end: keep one of them")
        return self

    @model_validator(mode="after")
    def _a_batch_reaches_every_node(self) -> Self:
        if self.nodes is not None and self.batch_size < self.nodes * self.devices:
            raise ValueError(
                f"batch_size ({self.batch_size}) is smaller than nodes times devices "
                f"({self.nodes * self.devices})"
            )
        return self

    @model_validator(mode="after")
    def _there_is_a_rank_to_lose(self) -> Self:
        if self.restarts is not None and self.devices == 1 and self.nodes is None:
            raise ValueError("restarts is of several ranks, and devices is 1: drop it")
        return self

    @model_validator(mode="after")
    def _there_are_ranks_to_change(self) -> Self:
        if self.elastic and self.devices == 1:
            raise ValueError("elastic is of several ranks, and devices is 1: raise devices")
        if self.elastic and self.nodes is not None:
            raise ValueError("elastic is of the ranks of one machine: drop it, or nodes")
        return self

    @model_validator(mode="after")
    def _there_are_ranks_for_shards(self) -> Self:
        if self.sharded and self.devices == 1 and self.nodes is None:
            raise ValueError("sharded is of several ranks, and devices is 1: raise devices")
        if self.sharded and (self.compile or self.elastic):
            raise ValueError("sharded goes with neither compile nor elastic: drop one of them")
        return self

    @model_validator(mode="after")
    def _there_is_something_to_keep(self) -> Self:
        if self.keep is not None and self.validate_every is None:
            raise ValueError("keep chooses among weights that are validated: set validate_every")
        return self
