"""The settings of ``finetune``."""

from typing import Literal

from pydantic import Field

from tasks.training.settings import TrainingSettings


class Settings(TrainingSettings):
    """How a head, and perhaps the backbone below it, learn the labels."""

    mode: Literal["full", "frozen"] = Field(
        "full", description="full: all weights are trained; frozen: the head alone"
    )
    tokens: int = Field(128, ge=8, description="texts are cut to so many tokens")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped")
    twin: bool = Field(True, description="also train the same model from random weights")
    patience: int = Field(3, ge=1, description="epochs without a better validation accuracy")
    learning_rate: float = Field(3e-4, gt=0, description="AdamW's, at its highest")
