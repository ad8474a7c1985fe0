"""Reconstruction: an autoencoder gives back what it is given (Hinton and Salakhutdinov, 2006)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.errors import BadSettings
from tasks.models import image
from tasks.objectives._pictures import read_pictures
from tasks.objectives._task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor


class Settings(contract.Settings):
    """What the autoencoder is given."""

    noise: float = Field(0.0, ge=0, description="deviation of noise added to pixels in 0 to 1")


class Reconstruction(Task):
    """The task: images, perhaps with noise, and the squared error of giving them back clean."""

    def __init__(
        self, model: Any, train: image.PixelInputs, validation: image.PixelInputs, noise: float
    ) -> None:
        self.model = model
        self.lengths = train.lengths
        self._train = train
        self._validation = validation
        self._noise = noise

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` and the same ``noisy``, both N C H W."""
        import torch

        images = self._train.batch(indices)["images"]
        noisy = images
        if self._noise > 0:
            shape = images.shape[1:]
            noise = [
                randoms[place].standard_normal(shape, dtype=np.float32)
                for place in range(len(indices))
            ]
            noisy = images + torch.from_numpy(self._noise * np.stack(noise))
        counts = torch.tensor([images.numel()], dtype=torch.float32)
        return {"images": images, "noisy": noisy, "counts": counts}

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean squared error a pixel."""
        from torch.nn.functional import mse_loss

        restored = self.model["decoder"](self.model["encoder"](batch["noisy"]))
        return mse_loss(restored.float(), batch["images"], reduction="sum") / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return the squared error a pixel on the validation images.

        ``mean_image_error`` is that of always answering the mean training image.
        """
        import torch

        device = next(self.model.parameters()).device
        everything = np.arange(len(self._validation.pixels))
        mean = self._train.pixels.mean(axis=0, dtype=np.float64) / 255
        target = self._validation.batch(everything)["images"]
        self.model.eval()
        with torch.inference_mode():
            restored = self.model["decoder"](self.model["encoder"](target.to(device))).cpu()
        self.model.train()
        return {
            "loss": float(((restored - target) ** 2).mean()),
            "mean_image_error": float(((target.numpy() - mean) ** 2).mean()),
        }

    def save(self, folder: Path) -> None:
        """Write encoder and decoder."""
        image.save(self.model, folder)


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
    pictures = read_pictures(train, "reconstruction")
    model = architecture.build(architecture_settings, pictures.traits)
    if "decoder" not in model:
        raise BadSettings(
            "the objective 'reconstruction' needs an architecture with a decoder: "
            "set architecture: autoencoder"
        )
    held_out = read_pictures(validation, "reconstruction")
    return Reconstruction(model, pictures.inputs, held_out.inputs, settings.noise)
