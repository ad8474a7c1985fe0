"""Groups of test records in which a model may do well or badly by itself.

Each class is a slice, and so is each third of the records by what can be measured on any content:
the length of a text, the brightness of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from tasks.contracts.images import decoded
from tasks.contracts.records import Modality
from tasks.metrics.scores import Floats, Ints

Mask = npt.NDArray[np.bool_]
THIRDS: dict[Modality, tuple[str, str, str]] = {
    "text": ("short texts", "texts of middle length", "long texts"),
    "image": ("dark images", "images of middle brightness", "bright images"),
}
FEW_RECORDS = 30
"""A smaller slice says too little of a model."""
UNITS: dict[Modality, str] = {"text": "{} characters", "image": "mean {} of 1"}


@dataclass(frozen=True)
class Slice:
    """A group of test records."""

    kind: str
    """``class``, ``length`` or ``brightness``."""
    name: str
    members: Mask
    """Whether each test record belongs to it, N."""


class SliceResult(TypedDict):
    """How a model does on a slice, as ``metrics.json`` has it."""

    kind: str
    name: str
    records: int
    accuracy: float
    """Of a class: its recall."""
    interval: list[float]
    """95 %, Wilson."""


def weakest_slice(results: Sequence[SliceResult]) -> SliceResult | None:
    """Return the slice of at least 30 records with the lowest accuracy, if there is one."""
    measured = [result for result in results if result["records"] >= FEW_RECORDS]
    return min(measured, key=lambda result: result["accuracy"], default=None)


def slices_of(
    true: Ints, labels: Sequence[str], modality: Modality, contents: Sequence[Any]
) -> list[Slice]:
    """Return the slices that hold a record: the classes in the order of ``labels``, the thirds.

    Args:
        true: the index of each record's true class, N.
        labels: the classes.
        modality: ``text`` or ``image``.
        contents: texts, or encoded images, N.
    """
    classes = [
        Slice("class", label, true == number)
        for number, label in enumerate(labels)
        if (true == number).any()
    ]
    if modality == "text":
        return classes + _thirds("length", "text", characters(contents), 0)
    return classes + _thirds("brightness", "image", brightness(contents), 2)


def characters(texts: Sequence[str]) -> Floats:
    """Return the length of each text, in characters."""
    return np.array([len(text) for text in texts], dtype=float)


def brightness(images: Sequence[bytes]) -> Floats:
    """Return the mean grey value of each image, in [0, 1]."""
    from PIL import ImageStat

    means = []
    for image in images:
        grey = decoded(image, "an image of the split").convert("L")
        means.append(ImageStat.Stat(grey).mean[0] / 255)
    return np.array(means)


def _thirds(kind: str, modality: Modality, values: Floats, digits: int) -> list[Slice]:
    low, high = np.quantile(values, [1 / 3, 2 / 3], method="lower")
    masks = (values <= low, (values > low) & (values <= high), values > high)
    low_text, high_text = f"{low:,.{digits}f}", f"{high:,.{digits}f}"
    ranges = (f"up to {low_text}", f"{low_text} to {high_text}", f"over {high_text}")
    return [
        Slice(kind, f"{name} ({UNITS[modality].format(span)})", mask)
        for name, span, mask in zip(THIRDS[modality], ranges, masks, strict=True)
        if mask.any()
    ]
