"""Contrastive learning of images (SimCLR; Chen et al., 2020, https://arxiv.org/abs/2002.05709).

Each image is seen twice, each time moved, turned, scaled and recoloured at random. The encoder,
with a small network on top that is dropped afterwards, learns to tell which two views are of one
image, among all views of the batch. Under ``accumulation`` or on several devices these are the
views of one part of the batch.

Dimensions: N images, C channels, H rows, W columns, F features, P numbers of a projection.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models import image
from tasks.objectives._images import ImageTask, build, start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor

    from tasks.inputs.pixels import PixelInputs
    from tasks.models.image_layers import ImageParts
    from tasks.models.initial.kinds import InitialImages

PART = "encoder"
VALIDATION_BATCH_SIZE = 256
PROJECTION_SIZE = 64


class Settings(contract.Settings):
    """How different the two views of an image may be."""

    temperature: float = Field(0.2, gt=0, description="similarities are divided by it")
    rotation: float = Field(15.0, ge=0, le=180, description="most degrees a view is turned by")
    shift: float = Field(0.1, ge=0, lt=1, description="most it is moved by, as a share of its side")
    scale: float = Field(0.2, ge=0, lt=1, description="most its sides grow or shrink by, a share")
    shear: float = Field(0.1, ge=0, lt=1, description="most it is slanted by")
    flip: bool = Field(False, description="mirror half of the views; not for letters and digits")
    contrast: float = Field(0.4, ge=0, lt=1, description="most the contrast changes by, a share")
    brightness: float = Field(0.2, ge=0, lt=1, description="most that is added to all pixels")
    noise: float = Field(0.05, ge=0, description="deviation of noise added to pixels in 0 to 1")


class Contrastive(ImageTask):
    """The task: two views of each image, and the cross entropy of finding one by the other."""

    def __init__(
        self,
        parts: ImageParts,
        train: PixelInputs,
        validation: PixelInputs,
        settings: Settings,
    ) -> None:
        """Take an architecture's parts, of which the encoder is trained, and the images."""
        import torch
        from torch import nn

        encoder = parts["encoder"]
        with torch.no_grad():
            size = encoder(torch.zeros(1, *train.pixels.shape[1:])).shape[1]
        projector = nn.Sequential(
            nn.Linear(size, size), nn.ReLU(), nn.Linear(size, PROJECTION_SIZE)
        )
        model = nn.ModuleDict({"encoder": encoder, "projector": projector})
        super().__init__(model, train, validation)
        self._parts = parts
        self._settings = settings

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` N C H W, and how the views of each differ from it."""
        return self._views(self._train, indices, randoms)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy over all views (Chen et al., equation 1)."""
        return self._costs(batch)[0] / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return loss and accuracy on views of the validation images, drawn once and for all.

        They are told apart in batches of 256 images; ``chance_accuracy`` is that of guessing.
        """

        def sums(batch: Batch) -> dict[str, float]:
            cost, correct = self._costs(batch)
            num_views = 2 * len(batch["images"])
            chance = num_views / max(num_views - 1, 1)
            return {
                "loss": float(cost),
                "correct": float(correct),
                "views": num_views,
                "chance": chance,
            }

        indices = slices(np.arange(len(self._validation.pixels)), VALIDATION_BATCH_SIZE)
        batches = (
            self._views(self._validation, chosen, ExampleRandom(0, 0, chosen)) for chosen in indices
        )
        totals = evaluate_sums(self.model, batches, sums)
        return {
            "loss": totals["loss"] / totals["views"],
            "accuracy": totals["correct"] / totals["views"],
            "chance_accuracy": totals["chance"] / totals["views"],
        }

    def save(self, folder: Path) -> None:
        """Write the architecture's parts, without the projector."""
        image.save(self._parts, folder)

    def _views(self, inputs: PixelInputs, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        import torch

        images = inputs.batch(indices)["images"]
        drawn = [self._draw(randoms[place], images[0].shape) for place in range(len(indices))]
        moves, colours, noises = (np.stack(values, axis=1) for values in zip(*drawn, strict=True))
        return {
            "images": images,
            "moves": torch.from_numpy(moves).float(),
            "colours": torch.from_numpy(colours).float(),
            "noises": torch.from_numpy(noises),
            "counts": torch.tensor([2.0 * len(indices)]),
        }

    def _draw(
        self, generator: np.random.Generator, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the two views of one image: where each looks, 2 2 3, its colours, and noise."""
        moves = np.stack([self._draw_move(generator) for _ in range(2)])
        own = self._settings
        limits = [own.contrast, own.brightness]
        colours = generator.uniform(-1, 1, (2, 2)) * limits + [1, 0]
        noise = generator.standard_normal((2, *shape), dtype=np.float32)
        return moves, colours, np.float32(own.noise) * noise

    def _draw_move(self, generator: np.random.Generator) -> np.ndarray:
        """Return the affine map from a view's places to the image's, 2 3, sides from -1 to 1."""
        own = self._settings
        angle = math.radians(own.rotation) * generator.uniform(-1, 1)
        sides = 1 + own.scale * generator.uniform(-1, 1, 2)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        slant = np.array([[1, own.shear * generator.uniform(-1, 1)], [0, 1]])
        mirror = np.diag([-1 if own.flip and generator.random() < 0.5 else 1, 1])
        # A side from -1 to 1 is 2 long.
        moved = 2 * own.shift * generator.uniform(-1, 1, 2)
        return np.concatenate([turn @ slant @ np.diag(sides) @ mirror, moved[:, None]], axis=1)

    def _costs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summed cross entropy over all views, and how many of them are found."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        num_images = len(batch["images"])
        views = torch.cat([seen(batch, number) for number in range(2)])
        projected = normalize(self.model["projector"](self.model["encoder"](views)).float())
        similar = projected @ projected.T / self._settings.temperature
        own = torch.arange(2 * num_images, device=views.device)
        similar = similar.masked_fill(own[:, None] == own, float("-inf"))  # no view of itself
        partner = (own + num_images) % (2 * num_images)
        found = (similar.argmax(-1) == partner).sum()
        return cross_entropy(similar, partner, reduction="sum"), found


def seen(batch: Batch, number: int) -> Float[Tensor, "N C H W"]:
    """Return the first or the second view of each image.

    Args:
        batch: ``images``, and what ``Contrastive`` has drawn.
        number: 0 or 1.
    """
    from torch.nn.functional import affine_grid, grid_sample

    images = batch["images"]
    grid = affine_grid(batch["moves"][number], list(images.shape), align_corners=False)
    moved = grid_sample(images, grid, align_corners=False)
    contrast, brightness = batch["colours"][number].T[:, :, None, None, None]
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    recoloured = (moved - mean) * contrast + mean + brightness
    return recoloured + batch["noises"][number]


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialImages | None = None,
) -> Contrastive:
    """Read both splits and build the model, or take that of ``initial``.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to start from.

    Raises:
        BadInput: the corpus holds text, or images that ``initial`` is not made for.
        BadSettings: the architecture has no encoder.
    """
    images, held_out = start("contrastive", PART, architecture, train, validation)
    parts = build(architecture, architecture_settings, images.traits, initial)
    return Contrastive(parts, images.inputs, held_out.inputs, settings)
