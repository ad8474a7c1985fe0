"""Settings of ``validate``: the tolerances of the gate."""

from operator import not_
from typing import Literal

from pydantic import Field

from tasks.contracts.settings import NEUTRAL
from tasks.contracts.settings import Settings as Base

Severity = Literal["error", "warning"]
CheckName = Literal[
    "records",
    "repeated",
    "size",
    "characters",
    "leakage",
    "near_duplicates",
    "unlabelled",
    "unknown_classes",
    "classes",
    "records_per_class",
    "class_drift",
]


class NearDuplicatesSettings(Base):
    """Which texts are nearly the same, and how many of them two splits may share."""

    similarity: float = Field(
        0.8, gt=0, le=1, description="share of runs of three words that two texts have in common"
    )
    maximum_share: float = Field(
        0.0, ge=0, le=1, description="share of a split that has a like in an earlier one"
    )


class Settings(Base):
    """What the splits of a corpus must meet."""

    minimum_records: int = Field(1, ge=1, description="records in each split")
    minimum_characters: int = Field(1, ge=1, description="text: characters of the shortest")
    maximum_characters: int | None = Field(
        None, ge=1, description="text: characters of the longest; null for no limit"
    )
    minimum_classes: int = Field(2, ge=1, description="classes, if there are labels at all")
    minimum_records_per_class: int = Field(2, ge=0, description="records of each class in train")
    maximum_unlabelled_share: float = Field(
        0.0, ge=0, le=1, description="share of a split without a label, if there are labels at all"
    )
    maximum_leaked_share: float = Field(
        0.0, ge=0, le=1, description="share of a split that stands in an earlier one too"
    )
    maximum_class_drift: float = Field(
        0.2,
        ge=0,
        le=1,
        description="total variation distance of the class shares of train and test, beyond what "
        "chance explains at their sizes",
    )
    near_duplicates: NearDuplicatesSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="look for texts of a split that an earlier one has nearly as they are",
    )
    severity: dict[CheckName, Severity] | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="of each check, by name: error, which all are that are not named, or warning, "
        "which is told and shuts no gate",
    )

    def modules(self) -> list[str]:
        """Return what is only used with some of these settings."""
        near = ["tasks.validate.near"] if self.near_duplicates is not None else []
        return [*super().modules(), *near]
