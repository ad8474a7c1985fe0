"""Data sets that scikit-learn brings along: no network, no pin."""

import io
from collections.abc import Iterator
from typing import Any, Literal

from tasks.collect.source import Record, SourceContext
from tasks.contracts.settings import Settings as Base

_DARKEST = 16  # the digits' pixels go from 0 to this


class Settings(Base):
    """A data set inside scikit-learn."""

    kind: Literal["sklearn"] = "sklearn"
    dataset: Literal["digits"] = "digits"


def identities(settings: Settings) -> list[str]:  # noqa: ARG001 - an entry's signature
    """Return no names: the data is part of an installed package."""
    return []


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - an entry's signature
    """Return no pins."""
    return {}


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:  # noqa: ARG001 - an entry's signature
    """Yield 1,797 handwritten digits of 8 x 8 pixels as greyscale PNG, labelled 0 to 9."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 255 / _DARKEST).round().astype("uint8")
    for row, (pixels, target) in enumerate(zip(images, digits.target, strict=True), start=1):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        yield Record(file.getvalue(), str(target), None, f"sklearn:{settings.dataset}", row)
