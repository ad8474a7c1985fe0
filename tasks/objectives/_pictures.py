"""The images of a split, decoded, with their shape and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.models import image
from tasks.models.traits import ImageTraits

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Pictures:
    """A split of an image corpus."""

    inputs: image.PixelInputs
    labels: list[str | None]
    traits: ImageTraits


def read_pictures(path: Path, objective: str) -> Pictures:
    """Decode the images of a split.

    Raises:
        BadInput: the corpus holds text.
    """
    if records.modality_of(records.read_schema(path)) != "image":
        raise BadInput(
            f"{path} holds text; the objective {objective!r} needs images: choose another"
        )
    table = records.read_table(path)
    contents = table["image"].to_pylist()
    pixels = image.decode(contents)
    return Pictures(
        image.PixelInputs(pixels), table["label"].to_pylist(), image.traits_of(contents)
    )
