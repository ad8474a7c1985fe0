"""How an objective of images begins: architecture and corpus checked, two splits decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts import records, registry
from tasks.errors import BadInput, BadSettings
from tasks.inputs.pixels import PixelInputs, decode, traits_of
from tasks.inputs.traits import ImageTraits
from tasks.models import image
from tasks.training.ranks import num_ranks
from tasks.training.task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tasks.models.image_layers import ImageParts
    from tasks.models.initial.kinds import InitialImages

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
    if num_ranks() > 1:
        from tasks.inputs.pixel_cache import mapped_pixels

        pixels = mapped_pixels(path)
        labels = records.read_table(path, ["label"])["label"].to_pylist()
        return Images(PixelInputs(pixels), labels, ImageTraits(*pixels.shape[1:]))
    table = records.read_table(path)
    contents = table["image"].to_pylist()
    return Images(PixelInputs(decode(contents)), table["label"].to_pylist(), traits_of(contents))


def start(
    objective: str, part: str, architecture: ModuleType, train: Path, validation: Path
) -> tuple[Images, Images]:
    """Check that an architecture can be trained on a corpus, and read both splits.

    Args:
        objective: its key in ``params.yaml``.
        part: what the architecture has to have, one of its ``PARTS``; those of text have none.
        architecture: the architecture's module.
        train: the training split.
        validation: the validation split.

    Raises:
        BadSettings: the architecture has no such part; the message lists those that have.
        BadInput: the corpus holds text.
    """
    if part not in getattr(architecture, "PARTS", ()):
        fitting = [
            name
            for name in registry.entries(ARCHITECTURES)
            if part in getattr(registry.load(ARCHITECTURES, name, name), "PARTS", ())
        ]
        raise BadSettings(
            f"the objective {objective!r} cannot train the architecture "
            f"{architecture.__name__.rpartition('.')[2]!r}, which has no {part}; "
            f"set architecture to one of: {', '.join(fitting)}"
        )
    return read_images(train, objective), read_images(validation, objective)


def build(
    architecture: ModuleType, sizes: Any, traits: ImageTraits, initial: InitialImages | None
) -> ImageParts:
    """Return a model with random weights, or take that of ``initial``.

    Args:
        architecture: the architecture's module.
        sizes: its settings; not used with ``initial``.
        traits: of the images.
        initial: the model to start from.

    Raises:
        BadInput: ``initial`` is made for other images.
    """
    if initial is not None:
        return initial.image_model(architecture, traits)
    parts: ImageParts = architecture.build(sizes, traits)
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
