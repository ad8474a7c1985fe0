"""Masked images: a transformer sees some patches and draws the others (He et al., 2022).

https://arxiv.org/abs/2111.06377. Which patches it sees is drawn on the host, for each example by
itself. The loss is the squared error on the patches that were hidden.

Dimensions: N images, C channels, H rows, W columns, P patches, V values a patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.errors import BadSettings
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

PART = "patch_decoder"
VALIDATION_BATCH_SIZE = 256
# As transformers has it, and the authors: a patch of one colour is not divided by zero.
SMALLEST_VARIANCE = 1e-6


class Settings(contract.Settings):
    """How much is hidden, and what is drawn in its place."""

    mask_ratio: float = Field(0.75, gt=0, lt=1, description="share of an image's patches to hide")
    normalized: bool = Field(
        False, description="draw patches less their mean, over their deviation, instead of pixels"
    )


class MaskedImage(ImageTask):
    """The task: images with patches hidden, and the squared error of drawing them."""

    def __init__(
        self, model: Any, train: PixelInputs, validation: PixelInputs, settings: Settings
    ) -> None:
        super().__init__(model, train, validation)
        self._normalized = settings.normalized
        self._patch_size: int = model.config["patch_size"]
        self._num_patches, self._num_hidden = _num_patches(model, settings.mask_ratio)
        model["encoder"].vit.config.mask_ratio = settings.mask_ratio

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``images`` and ``order``, N P: the patches that come first in it are seen."""
        return self._examples(self._train, indices, randoms)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean squared error of the hidden patches."""
        return self._errors(batch)[0] / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return the squared error on the hidden patches of the validation images.

        They are hidden once and for all. ``mean_image_error`` is that of always drawing the mean
        of what stands there in the training images.
        """
        mean = self._mean_patches()

        def sums(batch: Batch) -> dict[str, float]:
            ours, trivial = self._errors(batch, mean.to(batch["images"].device))
            return {
                "error": float(ours),
                "mean_image_error": float(trivial),
                "count": float(batch["counts"][0]),
            }

        batches = (
            self._examples(self._validation, chosen, ExampleRandom(0, 0, chosen))
            for chosen in slices(np.arange(len(self._validation.pixels)), VALIDATION_BATCH_SIZE)
        )
        totals = evaluate_sums(self.model, batches, sums)
        return {
            "loss": totals["error"] / totals["count"],
            "mean_image_error": totals["mean_image_error"] / totals["count"],
        }

    def _examples(self, inputs: PixelInputs, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        import torch

        orders = [randoms[index].permutation(self._num_patches) for index in range(len(indices))]
        counts = torch.tensor([float(len(indices) * self._num_hidden)])
        order = torch.from_numpy(np.stack(orders))
        return {**inputs.batch(indices), "order": order, "counts": counts}

    def _errors(self, batch: Batch, mean: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """Return the sums of the hidden patches' squared errors: ours, and those of ``mean``."""
        seen = self.model["encoder"].vit(batch["images"], noise=batch["order"])
        drawn = self.model["patch_decoder"](seen.last_hidden_state, seen.ids_restore).logits
        targets = self._targets(batch["images"])
        ours = ((drawn.float() - targets) ** 2).mean(dim=-1)
        trivial = ((targets - mean) ** 2).mean(dim=-1)
        return (ours * seen.mask).sum(), (trivial * seen.mask).sum()

    def _targets(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N P V"]:
        targets = patches(images, self._patch_size)
        if not self._normalized:
            return targets
        mean = targets.mean(dim=-1, keepdim=True)
        variance = targets.var(dim=-1, keepdim=True, correction=0)
        return (targets - mean) / (variance + SMALLEST_VARIANCE) ** 0.5

    def _mean_patches(self) -> Float[Tensor, "P V"]:
        total: Any = 0.0
        for chosen in slices(np.arange(len(self._train.pixels)), VALIDATION_BATCH_SIZE):
            images = self._train.batch(chosen)["images"]
            total = total + self._targets(images).double().sum(dim=0)
        mean: Tensor = (total / len(self._train.pixels)).float()
        return mean


def patches(images: Float[Tensor, "N C H W"], size: int) -> Float[Tensor, "N P V"]:
    """Cut images into patches, row by row; a patch's values are in the order row, column, channel.

    That is the order in which transformers' decoder draws them.
    """
    rows_and_columns = images.unfold(2, size, size).unfold(3, size, size)
    return rows_and_columns.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def _num_patches(model: Any, mask_ratio: float) -> tuple[int, int]:
    """Return how many patches an image has, and how many of them are hidden."""
    config = model.config
    total = (config["image_size"] // config["patch_size"]) ** 2
    seen = int(total * (1 - mask_ratio))  # as transformers rounds it
    if not 0 < seen < total:
        raise BadSettings(
            f"masked_image.mask_ratio is {mask_ratio}: of an image's {total} patches, {seen} are "
            "seen: change it so that some are seen and some hidden, or lower vit.patch_size"
        )
    return total, total - seen


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialImages | None = None,
) -> MaskedImage:
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
        BadSettings: the architecture draws no patches, its patches do not fit the images, or all
            or none of them would be hidden.
    """
    images, held_out = start("masked_image", PART, architecture, train, validation)
    model = build(architecture, architecture_settings, images.traits, initial)
    return MaskedImage(model, images.inputs, held_out.inputs, settings)
