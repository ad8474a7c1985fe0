"""A backbone of this project as a place to start from.

Unlike a published checkpoint it says what it was trained on: how long sequences were, and whether
its pooler has learnt anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.inputs.tokenizer import TOKENIZER_CONFIG, load_tokenizer
from tasks.models.initial.kinds import UNLIMITED
from tasks.models.initial.published import CONFIG, MODEL_TYPES, WEIGHTS, Checkpoint
from tasks.models.model import architecture_of, description
from tasks.progress import say

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tokenizers import Tokenizer

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

MODEL_MAX_LENGTH = "model_max_length"


def initial_of(folder: Path) -> OwnTransformer | OwnText | OwnImages:
    """Return the backbone in a folder as what an objective starts from."""
    about = description(folder)
    if about["modality"] == "image":
        return OwnImages(folder)
    model_type = MODEL_TYPES.get(about["architecture"])
    return OwnTransformer(folder, model_type) if model_type else OwnText(folder)


class OwnTransformer(Checkpoint):
    """A backbone of texts that lies there as transformers writes it."""

    def __init__(self, folder: Path, model_type: str) -> None:
        super().__init__(folder, model_type, str(folder))
        self._about = description(folder)
        self._longest: int = files.read_json(folder / TOKENIZER_CONFIG)[MODEL_MAX_LENGTH]

    @property
    def longest(self) -> int:
        """The longest sequence that it was trained on, in tokens."""
        return self._longest

    @property
    def predicts_next_sentences(self) -> bool:
        """Tell whether it has learnt to; it has a head for that in any case."""
        from tasks.models.text import UNTRAINED_POOLER

        return not UNTRAINED_POOLER.items() <= self._about.items()


class OwnText:
    """A backbone of texts of an architecture of our own, which has no positions."""

    positions = longest = UNLIMITED
    predicts_next_sentences = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tokenizer(self) -> Tokenizer:
        """Return its tokenizer, which neither cuts texts nor fills them up."""
        return load_tokenizer(self._folder)

    def pretraining_model(self) -> Any:
        """Return the whole model."""
        from safetensors.torch import load_file

        from tasks.models.text_layers import read_config

        architecture: Any = architecture_of(self._folder)
        model = architecture.build(*read_config(self._folder, architecture.Settings))
        model.load_state_dict(load_file(self._folder / WEIGHTS))
        return model


class OwnImages:
    """A backbone of images, with the parts that it was trained with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def image_model(self, architecture: ModuleType, traits: ImageTraits) -> ImageParts:
        """Return the parts of the model; those that it lacks start fresh, such as a decoder.

        Args:
            architecture: its own.
            traits: the shape of the images to go on with.

        Raises:
            BadInput: it takes images of another shape.
        """
        from safetensors.torch import load_file

        from tasks.inputs.traits import ImageTraits
        from tasks.models.image import name_in_file

        config = files.read_json(self._folder / CONFIG)
        own = ImageTraits(**config["traits"])
        if own != traits:
            raise BadInput(
                f"{self._folder} takes images of {own.shape} (channels, height, width), but the "
                f"corpus has {traits.shape}: set its clean.size and clean.mode"
            )
        settings = architecture.Settings.parse(config["settings"], str(self._folder))
        parts: ImageParts = architecture.build(settings, traits)
        weights = load_file(self._folder / WEIGHTS)
        for part in parts:
            names = {n: name_in_file(f"{part}.{n}", parts.config) for n in parts[part].state_dict()}
            shapes = {key: parts[part].state_dict()[n].shape for n, key in names.items()}
            if all(key in weights and weights[key].shape == shapes[key] for key in shapes):
                parts[part].load_state_dict({n: weights[key] for n, key in names.items()})
            else:
                say(f"{self._folder} has no {part}: it starts fresh")
        return parts
