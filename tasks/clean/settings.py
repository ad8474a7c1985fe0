"""Settings of ``clean``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.contracts import settings as contract
from tasks.contracts.images import MAXIMUM_PIXELS


class NearDuplicates(contract.Settings):
    """When two records are nearly the same."""

    similarity: float = Field(
        0.8, gt=0, le=1, description="text: share of runs of words that two texts have in common"
    )
    words: int = Field(
        3, ge=1, description="text: words of a run; in scripts without spaces, characters"
    )
    distance: int = Field(
        4, ge=0, le=32, description="images: bits of 64 that the hashes of two images differ in"
    )


class RareClasses(contract.Settings):
    """What becomes of classes with few records."""

    fewer_than: int = Field(10, ge=2, description="records of a class after all else was dropped")
    then: Literal["drop", "other", "keep"] = Field(
        "drop", description="drop their records, make them one class named other, or report them"
    )


class Settings(contract.Settings):
    """How texts are repaired and images made alike, and which records stay."""

    repair: bool = Field(True, description="text: undo wrong decodings with ftfy")
    normalize: Literal["NFC", "NFKC", "none"] = Field("NFC", description="text: Unicode form")
    minimum_characters: int = Field(1, ge=1, description="text: shorter ones are dropped")
    maximum_characters: int | None = Field(
        None, ge=1, description="text: longer ones are dropped; null for no limit"
    )
    mode: Literal["auto", "L", "RGB"] = Field(
        "auto", description="images: greyscale or colour; auto keeps what all of them are"
    )
    size: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)] | None = (
        Field(None, description="images: [width, height] in pixels to scale to; null keeps theirs")
    )
    blank: int | None = Field(
        None,
        ge=0,
        le=255,
        json_schema_extra=contract.NEUTRAL,
        description="images: drop those whose pixels differ by no more of 255 levels; null: none",
    )
    label_conflicts: Literal["majority", "drop", "first", "error"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="equal contents with several labels: keep the most frequent label (none of a "
        "tie), none, or the first in the order of the sources; null: majority, but first in a "
        "corpus with an official split",
    )
    near_duplicates: NearDuplicates | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="of records of one class that are nearly the same, keep one; null: keep all",
    )
    rare_classes: RareClasses | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="what becomes of classes with few records; null: they stay",
    )

    def modules(self) -> list[str]:
        """Return what is only used with some of these settings."""
        used = {
            "tasks.clean.blank": self.blank is not None,
            "tasks.clean.near_duplicates": self.near_duplicates is not None,
            "tasks.clean.rare_classes": self.rare_classes is not None,
        }
        return [*super().modules(), *(module for module, is_used in used.items() if is_used)]

    @field_validator("size")
    @classmethod
    def _is_no_larger_than_what_is_read(cls, size: list[int] | None) -> list[int] | None:
        if size is not None and size[0] * size[1] > MAXIMUM_PIXELS:
            raise ValueError(f"expected at most {MAXIMUM_PIXELS:,} pixels, width times height")
        return size
