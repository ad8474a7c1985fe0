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

    def num_devices(self) -> int:
        """Return on how many devices is trained."""
        return self.devices

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
