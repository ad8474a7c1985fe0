"""What an objective asks of the model that it starts from: a published one, or one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import ModuleType

    from tokenizers import Tokenizer

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

UNLIMITED = 1_000_000
"""Positions of a model that has no limit."""


class InitialText(Protocol):
    """A model of texts, with its tokenizer."""

    @property
    def positions(self) -> int:
        """The longest sequence that it takes, in tokens."""

    @property
    def longest(self) -> int:
        """The longest that it was trained on."""

    @property
    def predicts_next_sentences(self) -> bool:
        """Tell whether it has learnt to, so that its pooler has been trained."""

    def tokenizer(self) -> Tokenizer:
        """Return its tokenizer, which neither cuts texts nor fills them up."""

    def pretraining_model(self) -> Any:
        """Return the model with its pretraining heads; those that it lacks start fresh."""


class InitialImages(Protocol):
    """A model of images."""

    def image_model(self, architecture: ModuleType, traits: ImageTraits) -> ImageParts:
        """Return its parts, for images of some shape; those that it lacks start fresh."""
