"""Reconstruction: an autoencoder gives back what it is given (Hinton and Salakhutdinov, 2006).

With ``noise`` or ``hidden`` it is given spoilt images, and learns to give them back clean (Vincent
et al., 2008, Extracting and composing robust features with denoising autoencoders).

Dimensions: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.objectives._images import ImageTask, build, start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor

    from tasks.inputs.pixels import PixelInputs
    from tasks.models.initial.kinds import InitialImages

PART = "decoder"
VALIDATION_BATCH_SIZE = 256


class Settings(contract.Settings):
    """What the autoencoder is given."""

    noise: float = Field(0.0, ge=0, description="deviation of noise added to pixels in 0 to 1")
    hidden: float = Field(0.0, ge=0, lt=1, description="share of pixels set to 0")


class Reconstruction(ImageTask):
    """The task: images, perhaps spoilt, and the squared error of giving them back clean."""

    def __init__(
        self, model: Any, train: PixelInputs, validation: PixelInputs, settings: Settings
    ) -> None:
        super().__init__(model, train, validation)
        self._settings = settings

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` and the same ``spoilt``, both N C H W."""
        import torch

        images = self._train.batch(indices)["images"]
        spoilt = images
        if self._settings.noise or self._settings.hidden:
            pairs = zip(images.numpy(), range(len(indices)), strict=True)
            spoilt = torch.from_numpy(np.stack([self._spoil(i, randoms[p]) for i, p in pairs]))
        counts = torch.tensor([images.numel()], dtype=torch.float32)
        return {"images": images, "spoilt": spoilt, "counts": counts}

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean squared error a pixel."""
        from torch.nn.functional import mse_loss

        restored = self.model["decoder"](self.model["encoder"](batch["spoilt"]))
        return mse_loss(restored.float(), batch["images"], reduction="sum") / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return the squared error a pixel on the validation images, which are given clean.

        ``mean_image_error`` is that of always answering the mean training image.
        """
        import torch

        mean = torch.from_numpy(self._train.mean_image())

        def sums(batch: Batch) -> dict[str, float]:
            restored = self.model["decoder"](self.model["encoder"](batch["images"])).cpu()
            images = batch["images"].cpu()
            return {
                "error": float(((restored - images) ** 2).sum()),
                "mean_image_error": float(((images - mean) ** 2).sum()),
                "pixels": images.numel(),
            }

        indices = slices(np.arange(len(self._validation.pixels)), VALIDATION_BATCH_SIZE)
        totals = evaluate_sums(self.model, map(self._validation.batch, indices), sums)
        return {
            "loss": totals["error"] / totals["pixels"],
            "mean_image_error": totals["mean_image_error"] / totals["pixels"],
        }

    def _spoil(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        noise = generator.standard_normal(pixels.shape, dtype=np.float32)
        kept = generator.random(pixels.shape, dtype=np.float32) >= self._settings.hidden
        spoilt: np.ndarray = (pixels + np.float32(self._settings.noise) * noise) * kept
        return spoilt


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialImages | None = None,
) -> Reconstruction:
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
        BadSettings: the architecture has no decoder.
    """
    images, held_out = start("reconstruction", PART, architecture, train, validation)
    model = build(architecture, architecture_settings, images.traits, initial)
    return Reconstruction(model, images.inputs, held_out.inputs, settings)
