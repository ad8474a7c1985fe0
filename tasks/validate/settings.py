"""Settings of ``validate``: the tolerances of the gate."""

from operator import not_
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.contracts.paths import sources
from tasks.contracts.settings import NEUTRAL
from tasks.contracts.settings import Settings as Base
from tasks.duplicates.settings import NearDuplicatesSettings

Severity = Literal["error", "warning"]
CheckName = Literal[
    "records",
    "repeated",
    "size",
    "characters",
    "leakage",
    "near_duplicates",
    "languages",
    "unlabelled",
    "unknown_classes",
    "classes",
    "records_per_class",
    "class_drift",
    "drift_labels",
    "drift_lengths",
    "drift_vocabulary",
    "missing_targets",
    "value_range",
    "unknown_labels",
    "expected_labels",
    "tag_lengths",
    "tags_in_iob",
    "unknown_tags",
    "expected_tags",
]


class NearLeakageSettings(NearDuplicatesSettings):
    """Which records are nearly the same, and how many of them two splits may share."""

    maximum_share: float = Field(
        0.0, ge=0, le=1, description="share of a split that has a like in an earlier one"
    )


class LanguagesSettings(Base):
    """In which languages the texts of a corpus are."""

    expected: list[str] = Field(
        min_length=1, description="codes of ISO 639-1, for example [en, de]"
    )
    minimum_share: float = Field(0.95, ge=0, le=1, description="of the texts of each split")
    minimum_characters: int = Field(
        50, ge=1, description="shorter texts do not count: their language cannot be told"
    )


class ValuesSettings(Base):
    """Between which numbers the target ``value`` lies."""

    minimum: float | None = Field(None, description="the least; null for no limit")
    maximum: float | None = Field(None, description="the largest; null for no limit")


class DriftSettings(Base):
    """How far the corpus may be from its reference profile, beyond what chance explains."""

    labels: float = Field(0.1, ge=0, le=1, description="half the sum of differences of shares")
    lengths: float = Field(0.1, ge=0, le=1, description="the same of lengths, in half octaves")
    vocabulary: float = Field(
        0.1, ge=0, le=1, description="the same of the shares of texts that have a word, relatively"
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
    near_duplicates: NearLeakageSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="look for records of a split that an earlier one has nearly as they are",
    )
    languages: LanguagesSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="the languages that texts are expected to be in",
    )
    values: ValuesSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="between which numbers the target `value` lies, for example "
        "{minimum: 1, maximum: 5}",
    )
    labels: list[str] | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="what the target `labels` may hold; null: whatever train has",
    )
    tags: list[str] | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="what the target `tags` may hold; null: whatever train has",
    )
    drift: DriftSettings | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="compare with data/sources/<corpus>.profile.json, which `downstream data "
        "profile` writes",
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
        used = {
            "tasks.validate.near": self.near_duplicates is not None,
            "tasks.validate.languages": self.languages is not None,
            "tasks.corpora.profile": self.drift is not None,
        }
        return [*super().modules(), *(module for module, is_used in used.items() if is_used)]

    def reads(self, row: str) -> list[Path]:
        """Return the reference profile, where the corpus is compared with one."""
        return [sources(row).with_name(f"{row}.profile.json")] if self.drift is not None else []
