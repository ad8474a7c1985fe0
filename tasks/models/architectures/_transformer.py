"""The sizes that BERT and GPT-2 have in common."""

from typing import Self

from pydantic import Field, model_validator

from tasks.contracts import settings as contract


class TransformerSettings(contract.Settings):
    """The sizes of a transformer of texts."""

    layers: int = Field(4, ge=1, description="transformer layers")
    hidden_size: int = Field(256, ge=8, description="width of the residual stream")
    heads: int = Field(4, ge=1, description="attention heads; must divide hidden_size")
    positions: int = Field(256, ge=8, le=8192, description="longest sequence, in tokens")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations dropped")

    @model_validator(mode="after")
    def _heads_divide_hidden_size(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide hidden_size ({self.hidden_size})")
        return self
