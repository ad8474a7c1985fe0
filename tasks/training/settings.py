"""The settings that every training has; their values stand in the stages' sections."""

from typing import Literal

from pydantic import Field

from tasks.contracts import settings as contract


class TrainingSettings(contract.Settings):
    """How long, how fast and how exactly to train."""

    epochs: int = Field(10, ge=1, description="passes over the training split")
    batch_size: int = Field(32, ge=1, description="examples a step")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, at its highest")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps the rate rises in")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's")
    maximum_gradient_norm: float = Field(1.0, gt=0, description="gradients are clipped to it")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the processor multiplies it faster"
    )
