"""Settings of ``split``."""

from operator import not_
from typing import Self

from pydantic import Field, model_validator

from tasks.contracts.settings import NEUTRAL
from tasks.contracts.settings import Settings as Base
from tasks.duplicates.settings import NearDuplicatesSettings


class CutsSettings(Base):
    """Where the splits by time begin; what lies before both is train."""

    validation: str = Field(min_length=1, description="its first date, for example '2024-01-01'")
    test: str = Field(min_length=1, description="its first date, not before validation's")


class Settings(Base):
    """How many records go where; an official split is kept whatever stands here."""

    validation: float = Field(0.1, ge=0, lt=1, description="share of records for validation")
    test: float = Field(0.2, ge=0, lt=1, description="share of records for test")
    group_by: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="a column of collect's `columns`, or text: records of one value are in one "
        "split",
    )
    by: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="a column of collect's `columns` with dates: the latest records are test",
    )
    cuts: CutsSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="of by: the first dates of validation and test; in place of their shares",
    )
    stratify: bool | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="true: a class has a record in train, test and validation, in this order, as "
        "far as it has enough; without classes, a tenth of the values, a label or a tag",
    )
    near_duplicates: NearDuplicatesSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="records that are nearly the same stay in one split; others are left out",
    )

    def modules(self) -> list[str]:
        """Return what is only used with some of these settings."""
        used = {
            "tasks.split.groups": self.group_by is not None,
            "tasks.split.dates": self.by is not None,
            "tasks.split.classes": bool(self.stratify),
            "tasks.split.strata": bool(self.stratify),
            "tasks.split.apart": self.group_by is not None or self.near_duplicates is not None,
            "tasks.split.near": self.near_duplicates is not None,
        }
        return [*super().modules(), *(module for module, is_used in used.items() if is_used)]

    @model_validator(mode="after")
    def _leaves_some_for_train(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must stay below 1: the rest is train")
        return self

    @model_validator(mode="after")
    def _one_rule_divides(self) -> Self:
        if self.group_by is not None and self.by is not None:
            raise ValueError("group_by and by both say where a record goes: drop one of them")
        if self.stratify and (self.group_by is not None or self.by is not None):
            raise ValueError(
                "stratify moves single records, which group_by and by do not allow: drop one"
            )
        if self.cuts is not None and self.by is None:
            raise ValueError("cuts are dates: name the column in by, or drop them")
        return self
