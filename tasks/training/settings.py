"""The settings that every training has; their values stand in the stages' sections."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import settings as contract


class TrainingSettings(contract.Settings):
    """How long, how fast and how exactly to train."""

    epochs: int = Field(10, ge=1, description="passes over the training split")
    batch_size: int = Field(32, ge=1, description="examples a step, over all devices")
    accumulation: int = Field(1, ge=1, description="parts in which a device works off its batch")
    devices: int = Field(1, ge=1, le=1024, description="GPUs, or processes on a CPU, that train")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, at its highest")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps the rate rises in")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="how the rate falls to 0")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's")
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
