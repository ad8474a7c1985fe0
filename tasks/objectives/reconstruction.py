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
from tasks.objectives._pictures import PictureTask, read_pictures, require_part
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor

    from tasks.inputs.pixels import PixelInputs

VALIDATION_BATCH_SIZE = 256


class Settings(contract.Settings):
    """What the autoencoder is given."""

    noise: float = Field(0.0, ge=0, description="deviation of noise added to pixels in 0 to 1")
    hidden: float = Field(0.0, ge=0, lt=1, description="share of pixels set to 0")


class Reconstruction(PictureTask):
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

        device = next(self.model.parameters()).device
        mean = torch.from_numpy(self._train.mean_image())
        everything = np.arange(len(self._validation.pixels))
        error, reference, num_pixels = 0.0, 0.0, 0
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(everything), VALIDATION_BATCH_SIZE):
                chosen = everything[start : start + VALIDATION_BATCH_SIZE]
                images = self._validation.batch(chosen)["images"]
                restored = self.model["decoder"](self.model["encoder"](images.to(device))).cpu()
                error += float(((restored - images) ** 2).sum())
                reference += float(((images - mean) ** 2).sum())
                num_pixels += images.numel()
        self.model.train()
        return {"loss": error / num_pixels, "mean_image_error": reference / num_pixels}

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
) -> Reconstruction:
    """Read both splits and build the model.

    Raises:
        BadInput: the corpus holds text.
        BadSettings: the architecture has no decoder.
    """
    require_part(architecture, "decoder", "reconstruction")
    pictures, held_out = (read_pictures(path, "reconstruction") for path in (train, validation))
    model = architecture.build(architecture_settings, pictures.traits)
    return Reconstruction(model, pictures.inputs, held_out.inputs, settings)
