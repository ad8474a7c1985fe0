"""Settings of ``clean``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.contracts.images import MAXIMUM_PIXELS
from tasks.contracts.settings import Settings as Base


class Settings(Base):
    """How texts are repaired and images made alike."""

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

    @field_validator("size")
    @classmethod
    def _is_no_larger_than_what_is_read(cls, size: list[int] | None) -> list[int] | None:
        if size is not None and size[0] * size[1] > MAXIMUM_PIXELS:
            raise ValueError(f"expected at most {MAXIMUM_PIXELS:,} pixels, width times height")
        return size
