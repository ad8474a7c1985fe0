"""Contrastive divergence: a restricted Boltzmann machine learns from images (Hinton, 2002).

Every pixel's intensity is taken as the probability that its visible unit is on. From the data, the
machine takes ``steps`` steps of Gibbs sampling (CD-k): hidden units are drawn, visible ones take
their probabilities (Hinton, 2012, A practical guide to training restricted Boltzmann machines,
sections 3.1 and 3.2). The gradient is that of the difference of the free energies of the data and
of what came out, which is held fixed. Random numbers are drawn on the host, each example's by
itself.

A row of ``adapted`` may put a machine on another one (``hidden_units``). It learns from the
features that the images have in the one below, taken as probabilities like pixels; what is below
stays as it is.

Dimensions: N images, V visible units, F hidden units, K steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.errors import BadSettings
from tasks.inputs.pixels import PixelInputs
from tasks.models import image
from tasks.objectives._images import ImageTask, build, start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor, nn

    from tasks.models.initial.kinds import InitialImages

PART = "visible"
VALIDATION_BATCH_SIZE = 256
# Pixels whose pseudo-likelihood is taken, evenly spread: each costs as much as the whole machine.
MOST_PIXELS = 64
# Pixels that are never, or always, on get no infinite bias.
RAREST = 0.01


class Settings(contract.Settings):
    """How far the samples are drawn from the data that the machine is told apart from."""

    steps: int = Field(1, ge=1, description="steps of Gibbs sampling, the k of CD-k")
    hidden_units: int | None = Field(
        None,
        ge=1,
        description="in adapt: hidden units of a machine that is put on the backbone's",
        json_schema_extra=contract.NEUTRAL,
    )


@dataclass(frozen=True)
class Features(PixelInputs):
    """What a machine is given in place of pixels: features in 0 to 1, N F, float32."""

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return them as ``images``."""
        import torch

        return {"images": torch.from_numpy(self.pixels[indices])}

    def mean_image(self) -> np.ndarray:
        """Return the mean of all, F, float64."""
        mean: np.ndarray = self.pixels.mean(axis=0, dtype=np.float64)
        return mean


class Boltzmann(ImageTask):
    """The task: images, random numbers, and the difference of free energies."""

    def __init__(
        self,
        model: Any,
        train: PixelInputs,
        validation: PixelInputs,
        settings: Settings,
        *,
        goes_on: bool = False,
    ) -> None:
        """Take a machine, or several that are stacked, of which the last is trained.

        Args:
            model: the machines, as the architecture builds them.
            train: the training images.
            validation: the validation images.
            settings: the row's.
            goes_on: the machine that is trained has been trained before.
        """
        import torch
        from torch import nn

        below, last = model["encoder"][:-2], model["encoder"][-2:]
        machine = nn.ModuleDict(
            {"encoder": nn.Sequential(nn.Flatten(), *last), "visible": model["visible"]}
        )
        super().__init__(machine, _through(below, train), _through(below, validation))
        self._whole = model
        self._steps = settings.steps
        self._mean = torch.from_numpy(self._train.mean_image().ravel()).float()
        if not goes_on:
            # The machine begins with the mean training image, and the weights learn the rest.
            model["visible"]["bias"].data.copy_(self._mean.clamp(RAREST, 1 - RAREST).logit())

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` and ``uniform``, N K F, random numbers in 0 to 1."""
        import torch

        shape = (self._steps, self._weights.out_features)
        uniform = [randoms[index].random(shape, dtype=np.float32) for index in range(len(indices))]
        return {
            **self._train.batch(indices),
            "uniform": torch.from_numpy(np.stack(uniform)),
            "counts": torch.tensor([float(len(indices))]),
        }

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return how much higher the free energy of the data is than that of the samples."""
        data = batch["images"].flatten(1)
        samples = self._sampled(data, batch["uniform"])
        difference = self.free_energy(data) - self.free_energy(samples)
        return difference.sum() / batch["counts"][0]

    def free_energy(self, visible: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
        """Return the free energy of states of the visible units: low where they are likely."""
        from torch.nn.functional import softplus

        inputs = self._weights(visible).float()
        bias: Tensor = self.model["visible"]["bias"]
        return -(visible * bias).sum(dim=1) - softplus(inputs).sum(dim=1)

    def validate(self) -> dict[str, float]:
        """Return metrics on the validation images.

        ``reconstruction_error`` is the squared error a pixel after one step up and down, without
        chance, beside that of always answering the mean training image.
        ``pseudo_log_likelihood`` is, in nats a pixel, how likely a pixel is given all others, where
        pixels are on from one half; beside it, how likely it is by its frequency in the training
        images.
        """
        num_images = len(self._validation.pixels)
        indices = slices(np.arange(num_images), VALIDATION_BATCH_SIZE)
        totals = evaluate_sums(self.model, map(self._validation.batch, indices), self._sums)
        return {name: total / num_images for name, total in totals.items()}

    def _sums(self, batch: Batch) -> dict[str, float]:
        images = batch["images"].flatten(1).cpu()
        is_on = (images >= 0.5).float()
        on_device = is_on.to(self._weights.weight.device)
        restored = self._down(self._up(batch["images"].flatten(1))).cpu()
        values = {
            "reconstruction_error": ((restored - images) ** 2).mean(dim=1),
            "mean_image_error": ((images - self._mean) ** 2).mean(dim=1),
            "pseudo_log_likelihood": self._pseudo_log_likelihood(on_device),
            "frequency_log_likelihood": self._by_frequency(is_on),
        }
        return {name: float(value.sum()) for name, value in values.items()}

    def save(self, folder: Path) -> None:
        """Write all machines."""
        image.save(self._whole, folder)

    @property
    def _weights(self) -> nn.Linear:
        linear: nn.Linear = self.model["encoder"][1]
        return linear

    def _up(self, visible: Float[Tensor, "N V"]) -> Float[Tensor, "N F"]:
        return self._weights(visible).float().sigmoid()

    def _down(self, hidden: Float[Tensor, "N F"]) -> Float[Tensor, "N V"]:
        return (hidden @ self._weights.weight + self.model["visible"]["bias"]).float().sigmoid()

    def _sampled(
        self, visible: Float[Tensor, "N V"], uniform: Float[Tensor, "N K F"]
    ) -> Float[Tensor, "N V"]:
        import torch

        with torch.no_grad():
            for step in range(self._steps):
                visible = self._down((uniform[:, step] < self._up(visible)).float())
        return visible

    def _pixels(self) -> np.ndarray:
        num_pixels = self._weights.in_features
        return np.linspace(0, num_pixels - 1, min(num_pixels, MOST_PIXELS)).round().astype(int)

    def _pseudo_log_likelihood(self, is_on: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
        import torch
        from torch.nn.functional import logsigmoid

        energy = self.free_energy(is_on)
        values = []
        for pixel in self._pixels():
            other = is_on.clone()
            other[:, pixel] = 1 - other[:, pixel]
            values.append(logsigmoid(self.free_energy(other) - energy))
        return torch.stack(values).mean(dim=0)

    def _by_frequency(self, is_on: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
        import torch

        pixels = self._pixels()
        images = self._train.batch(np.arange(len(self._train.pixels)))["images"]
        frequency = (images >= 0.5).double().mean(dim=0).flatten()[pixels]
        frequency = frequency.clamp(RAREST, 1 - RAREST)
        return torch.where(is_on[:, pixels] > 0, frequency, 1 - frequency).log().mean(dim=1)


def _through(below: nn.Sequential, images: PixelInputs) -> PixelInputs:
    """Return the features of images in the machines below; the images, where there are none."""
    import torch

    if len(below) == 1:
        return images
    parts = []
    with torch.no_grad():
        for chosen in slices(np.arange(len(images.pixels)), VALIDATION_BATCH_SIZE):
            parts.append(below(images.batch(chosen)["images"]).numpy())
    return Features(np.concatenate(parts))


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialImages | None = None,
) -> Boltzmann:
    """Read both splits and build the model, or take that of ``initial``.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to go on from, or to put a machine on.

    Raises:
        BadInput: the corpus holds text, or images that ``initial`` is not made for.
        BadSettings: the architecture has no visible units, or machines are to be stacked of which
            none has been trained.
    """
    images, held_out = start("boltzmann", PART, architecture, train, validation)
    if initial is None and (settings.hidden_units or architecture_settings.below):
        raise BadSettings(
            "boltzmann.hidden_units and rbm.below are of machines on others that have been "
            "trained: set rbm.hidden_units, and stack in a row of adapted"
        )
    model = build(architecture, architecture_settings, images.traits, initial)
    goes_on = initial is not None and settings.hidden_units is None
    if settings.hidden_units is not None:
        model = architecture.on_top(model, settings.hidden_units)
    return Boltzmann(model, images.inputs, held_out.inputs, settings, goes_on=goes_on)
