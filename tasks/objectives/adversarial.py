"""Adversarial training: a generator learns to draw what a discriminator takes for real.

Goodfellow et al., 2014 (https://arxiv.org/abs/1406.2661), with the generator's loss of its section
3 that does not saturate. Each network has an optimizer of its own, and a step is one step of both,
the discriminator's first. The generator's random numbers are drawn on the host, each example's by
itself.

Dimensions: N images, C channels, H rows, W columns, Z latent numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.objectives._images import ImageTask, start
from tasks.training.evaluation import evaluate
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from torch import Tensor

    from tasks.inputs.pixels import PixelInputs
    from tasks.training.optimizers import Optimizers

# Images that are compared with each other: as many pairs as their square.
MOST_COMPARED = 2000

# Radford et al., section 4: with the usual 0.9 the two networks swing around each other.
MOMENTUM = 0.5


class Settings(contract.Settings):
    """There is nothing to choose yet."""


class Adversarial(ImageTask):
    """The task: real images, random numbers, and a loss for each of the two networks."""

    def __init__(
        self, model: Any, train: PixelInputs, validation: PixelInputs, latent_size: int
    ) -> None:
        super().__init__(model, train, validation)
        self._latent_size = latent_size

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` and ``latent``, N Z, standard normal."""
        import torch

        return {
            **self._train.batch(indices),
            "latent": self._latent(len(indices), randoms),
            "counts": torch.tensor([float(len(indices))]),
        }

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        """Return one optimizer a network."""
        both = {"discriminator": ("encoder", "critic"), "generator": ("generator",)}
        return {
            name: [
                {
                    "params": [value for part in parts for value in self.model[part].parameters()],
                    "betas": (MOMENTUM, 0.999),
                }
            ]
            for name, parts in both.items()
        }

    def step(self, optimizers: Optimizers, parts: list[Batch]) -> Tensor:
        """Take a step of the discriminator, then one of the generator; return both losses' sum."""
        loss = optimizers.minimise(self.discriminator_loss, parts, "discriminator")
        return loss + optimizers.minimise(self.generator_loss, parts, "generator")

    def discriminator_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy of telling real images from drawn ones."""
        import torch
        from torch.nn.functional import softplus

        with torch.no_grad():
            drawn = self.model["generator"](batch["latent"])
        real, fake = self._judged(batch["images"]), self._judged(drawn)
        return (softplus(-real) + softplus(fake)).sum() / batch["counts"][0]

    def generator_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy of drawn images being taken for real."""
        from torch.nn.functional import softplus

        drawn = self.model["generator"](batch["latent"])
        return softplus(-self._judged(drawn)).sum() / batch["counts"][0]

    def _judged(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, " N"]:
        """Return the logit of each image being real."""
        logits: Tensor = self.model["critic"](self.model["encoder"](images))
        return logits.float().squeeze(1)

    def _latent(self, count: int, randoms: ExampleRandom) -> Float[Tensor, "N Z"]:
        import torch

        numbers = [
            randoms[index].standard_normal(self._latent_size, dtype=np.float32)
            for index in range(count)
        ]
        return torch.from_numpy(np.stack(numbers))

    def validate(self) -> dict[str, float]:
        """Return how well each network does against the validation images.

        ``real_or_drawn_accuracy`` is the discriminator's on validation images and as many drawn
        ones; one half is chance, which a perfect generator brings it to.
        ``energy_distance`` is that between drawn and validation images; beside it, that of images
        whose pixels are drawn from the training images one by one.
        """
        count = min(len(self._validation.pixels), MOST_COMPARED)
        real = self._validation.batch(np.arange(count))["images"]
        latent = self._latent(count, ExampleRandom(0, 0, range(count)))

        def judge(batch: Batch) -> tuple[Tensor, int]:
            drawn = self.model["generator"](batch["latent"])
            correct = (self._judged(batch["images"]) > 0).sum() + (self._judged(drawn) <= 0).sum()
            return drawn.cpu(), int(correct)

        [(drawn, correct)] = evaluate(self.model, [{"images": real, "latent": latent}], judge)
        return {
            "real_or_drawn_accuracy": correct / (2 * count),
            "energy_distance": energy_distance(drawn, real),
            "independent_pixels_energy_distance": energy_distance(self._shuffled(count), real),
        }

    def _shuffled(self, count: int) -> Float[Tensor, "N C H W"]:
        """Return images each of whose pixels is that of another training image."""
        import torch

        pixels = self._train.pixels.reshape(len(self._train.pixels), -1)
        generator = np.random.default_rng(0)
        rows = generator.integers(len(pixels), size=(count, pixels.shape[1]))
        chosen = pixels[rows, np.arange(pixels.shape[1])].reshape(-1, *self._train.pixels.shape[1:])
        return torch.from_numpy(chosen).float() / 255


def energy_distance(first: Float[Tensor, "N C H W"], second: Float[Tensor, "M C H W"]) -> float:
    """Return the energy distance of two samples (Székely and Rizzo, 2013), 0 for equal ones.

    Twice the mean distance between the samples, less the mean distances within them.
    """
    import torch

    one, other = first.flatten(1).double(), second.flatten(1).double()
    between = torch.cdist(one, other).mean()
    within = [
        torch.cdist(each, each).sum() / (len(each) * (len(each) - 1)) for each in (one, other)
    ]
    return float(2 * between - within[0] - within[1])


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,  # noqa: ARG001
    train: Path,
    validation: Path,
) -> Adversarial:
    """Read both splits and build both networks.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes.
        settings: the row's.
        train: the training split.
        validation: the validation split.

    Raises:
        BadInput: the corpus holds text, or one image to validate with.
        BadSettings: the architecture has no generator.
    """
    images, held_out = start("adversarial", "generator", architecture, train, validation)
    if len(held_out.inputs.pixels) < 2:
        raise BadInput(
            f"{validation} holds one image, but drawn ones are compared with two at least: raise "
            "the corpus' split.validation"
        )
    model = architecture.build(architecture_settings, images.traits)
    return Adversarial(model, images.inputs, held_out.inputs, architecture_settings.latent_size)
