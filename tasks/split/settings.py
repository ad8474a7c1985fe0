"""Settings of ``split``."""

from typing import Self

from pydantic import Field, model_validator

from tasks.contracts.settings import Settings as Base


class Settings(Base):
    """How many records go where; an official split is kept whatever stands here."""

    validation: float = Field(0.1, ge=0, lt=1, description="share of records for validation")
    test: float = Field(0.2, ge=0, lt=1, description="share of records for test")

    @model_validator(mode="after")
    def _leaves_some_for_train(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must stay below 1: the rest is train")
        return self
