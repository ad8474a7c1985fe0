"""What objectives of images share: a split's images, decoded, and a task on those of two splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts import records, registry
from tasks.errors import BadInput, BadSettings
from tasks.inputs.pixels import PixelInputs, decode, traits_of
from tasks.inputs.traits import ImageTraits
from tasks.models import image
from tasks.training.task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

ARCHITECTURES = "tasks.models.architectures"


@dataclass(frozen=True)
class Images:
    """A split of an image corpus."""

    inputs: PixelInputs
    labels: list[str | None]
    traits: ImageTraits


def read_images(path: Path, objective: str) -> Images:
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
    return Images(PixelInputs(decode(contents)), table["label"].to_pylist(), traits_of(contents))


def require_part(architecture: ModuleType, part: str, objective: str) -> None:
    """Check that an architecture has the part that an objective trains.

    Raises:
        BadSettings: it has not; the message lists the architectures that have.
    """
    if part not in _parts(architecture):
        raise BadSettings(
            f"the objective {objective!r} cannot train the architecture "
            f"{architecture.__name__.rpartition('.')[2]!r}, which has no {part}; "
            f"set architecture to one of: {', '.join(_architectures_with(part))}"
        )


def _architectures_with(part: str) -> list[str]:
    return [
        name
        for name in registry.entries(ARCHITECTURES)
        if part in _parts(registry.load(ARCHITECTURES, name, name))
    ]


def _parts(architecture: ModuleType) -> tuple[str, ...]:
    """Return the parts of an image architecture; those of text have none."""
    parts: tuple[str, ...] = getattr(architecture, "PARTS", ())
    return parts


class ImageTask(Task):
    """A task on the images of two splits."""

    def __init__(self, model: Any, train: PixelInputs, validation: PixelInputs) -> None:
        self.model = model
        self.lengths = train.lengths
        self._train = train
        self._validation = validation

    def save(self, folder: Path) -> None:
        """Write all parts of the model."""
        image.save(self.model, folder)
