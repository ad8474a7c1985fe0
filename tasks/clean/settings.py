"""Settings of ``clean``."""

from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.contracts import settings as contract
from tasks.contracts.images import MAXIMUM_PIXELS
from tasks.duplicates.settings import NearDuplicatesSettings


def _is_none(value: Any) -> bool:
    """Leave what is not set out of ``settings.json``, which keeps its bytes where nothing is."""
    return value is None


class RareClasses(contract.Settings):
    """What becomes of classes with few records."""

    fewer_than: int = Field(10, ge=2, description="records of a class after all else was dropped")
    then: Literal["drop", "other", "keep"] = Field(
        "drop", description="drop their records, make them one class named other, or report them"
    )


class Languages(contract.Settings):
    """Which languages stay."""

    keep: list[str] = Field(min_length=1, description="codes of ISO 639-1, for example [en, de]")
    minimum_characters: int = Field(
        50, ge=1, description="shorter texts stay: their language cannot be told"
    )
    minimum_probability: float = Field(
        0.8, ge=0, le=1, description="of another language, for a text to be dropped"
    )


class StopWords(contract.Settings):
    """Words that prose cannot do without."""

    minimum: int = Field(2, ge=1, description="how many of them a text has to have")
    words: list[str] = Field(
        ["the", "be", "to", "of", "and", "that", "have", "with"],
        min_length=1,
        description="in small letters; the default is for English",
    )


def _rule(description: str, **limits: Any) -> Any:
    return Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description=description,
        **limits,
    )


class Quality(contract.Settings):
    """Rules for pages of the web; each is off where it is null."""

    minimum_words: int | None = _rule("words of the shortest text", ge=1)
    maximum_words: int | None = _rule("words of the longest text", ge=1)
    mean_word_length: list[float] | None = _rule("characters of a word on average: [least, most]")
    maximum_symbols: float | None = _rule("hash signs and ellipses for each word", ge=0)
    minimum_alphabetic: float | None = _rule("share of words with a letter", ge=0, le=1)
    stop_words: StopWords | None = _rule("words of which a text has to have some")
    maximum_repeated_words: float | None = _rule(
        "share of words in runs of five that stood there before", ge=0, le=1
    )
    maximum_frequent_pair: float | None = _rule(
        "share of characters in the most frequent pair of words", ge=0, le=1
    )
    maximum_repeated_lines: float | None = _rule("share of lines that repeat others", ge=0, le=1)
    maximum_bullet_lines: float | None = _rule("share of lines that begin a list item", ge=0, le=1)
    maximum_ellipsis_lines: float | None = _rule("share of lines cut by an ellipsis", ge=0, le=1)
    maximum_short_lines: float | None = _rule("share of lines up to 30 characters", ge=0, le=1)
    minimum_ended_lines: float | None = _rule("share of lines that end a sentence", ge=0, le=1)
    placeholders: Literal[True] | None = _rule("true: no text with a curly bracket or lorem ipsum")

    @field_validator("mean_word_length")
    @classmethod
    def _least_and_most(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and not (len(value) == 2 and 0 < value[0] <= value[1]):
            raise ValueError("expected the least and the most, for example [3, 10]")
        return value


# Settings that change nothing in a corpus of the other modality. How texts are repaired is none of
# them: the labels of images are repaired too.
OF_TEXTS = (
    "minimum_characters",
    "maximum_characters",
    "boilerplate",
    "personal_data",
    "languages",
    "quality",
    "near_duplicates.similarity",
    "near_duplicates.words",
)
OF_IMAGES = ("mode", "size", "blank", "near_duplicates.distance")


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
    boilerplate: Literal["keep", "remove"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="text: lines on cookies, rights, subscriptions and the like; null: keep",
    )
    personal_data: list[Literal["email", "card", "ip", "telephone"]] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="text: what is masked, <EMAIL> for example; null: nothing",
    )
    languages: Languages | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="text: which stay; null: all",
    )
    quality: Quality | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="text: rules for pages of the web",
    )
    blank: int | None = Field(
        None,
        ge=0,
        le=255,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="images: drop those whose pixels differ by no more of 255 levels; null: none",
    )
    label_conflicts: Literal["majority", "drop", "first", "error"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="equal contents with several labels: keep the most frequent label (none of a "
        "tie), none, or the first in the order of the sources; null: majority, but first in a "
        "corpus with an official split",
    )
    responses: Literal["all"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="all: of equal texts keep one with each response; null: one, with its first",
    )
    near_duplicates: NearDuplicatesSettings | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="of records of one class that are nearly the same, keep one; null: keep all",
    )
    rare_classes: RareClasses | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        exclude_if=_is_none,
        description="what becomes of classes with few records; null: they stay",
    )

    def modules(self) -> list[str]:
        """Return what is only used with some of these settings."""
        used = {
            "tasks.clean.rules.boilerplate": self.boilerplate == "remove",
            "tasks.clean.rules.personal_data": bool(self.personal_data),
            "tasks.clean.rules.languages": self.languages is not None,
            "tasks.clean.rules.quality": self.quality is not None,
            "tasks.clean.rules.blank": self.blank is not None,
            "tasks.clean.near_duplicates": self.near_duplicates is not None,
            "tasks.clean.rare_classes": self.rare_classes is not None,
        }
        return [*super().modules(), *(module for module, is_used in used.items() if is_used)]

    def without_effect(self, modality: Literal["text", "image"]) -> list[str]:
        """Return what is not at its default, though it is of the other modality."""
        default = Settings(near_duplicates=self.near_duplicates and NearDuplicatesSettings())
        names = OF_IMAGES if modality == "text" else OF_TEXTS
        return [name for name in names if _value(self, name) != _value(default, name)]

    @model_validator(mode="after")
    def _responses_are_kept(self) -> Self:
        if self.responses is not None and self.near_duplicates is not None:
            raise ValueError(
                "near_duplicates would keep one response of texts that are alike, and responses "
                "asks for all: drop one of the two"
            )
        return self

    @field_validator("size")
    @classmethod
    def _is_no_larger_than_what_is_read(cls, size: list[int] | None) -> list[int] | None:
        if size is not None and size[0] * size[1] > MAXIMUM_PIXELS:
            raise ValueError(f"expected at most {MAXIMUM_PIXELS:,} pixels, width times height")
        return size


def _value(settings: Settings, name: str) -> Any:
    """Return the value of a setting, which is null where the section that it is in is."""
    return reduce(lambda section, key: section and getattr(section, key), name.split("."), settings)
