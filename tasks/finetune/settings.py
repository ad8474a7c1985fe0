"""The settings of ``finetune``."""

from typing import Literal

from pydantic import Field

from tasks.training.settings import TrainingSettings


class Settings(TrainingSettings):
    """How a head, and perhaps the backbone below it, learn the labels."""

    mode: Literal["full", "frozen"] = Field(
        "full", description="full: all weights are trained; frozen: the head alone"
    )
    twin: bool = Field(True, description="also train the same model from random weights")
    patience: int = Field(3, ge=1, description="epochs without a better validation accuracy")
    learning_rate: float = Field(3e-4, gt=0, description="AdamW's, at its highest")
