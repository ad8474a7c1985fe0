"""Text models of our own, saved like transformers': ``config.json``, ``model.safetensors``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from tasks.contracts import files
from tasks.inputs.traits import TextTraits

if TYPE_CHECKING:
    from tasks.contracts.settings import Settings

CONFIG, WEIGHTS, ENCODER = "config.json", "model.safetensors", "encoder."
SomeSettings = TypeVar("SomeSettings", bound="Settings")


class PlainTextModel(nn.Module):
    """A module that can be saved.

    Attributes:
        config: what it takes to build it again.
    """

    def __init__(self, architecture: str, settings: Settings, traits: TextTraits) -> None:
        super().__init__()
        self.config = {
            "architecture": architecture,
            "settings": settings.model_dump(mode="json"),
            "traits": asdict(traits),
        }

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        files.write_json(folder / CONFIG, self.config)
        weights = {
            name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()
        }
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def read_config(folder: Path, schema: type[SomeSettings]) -> tuple[SomeSettings, TextTraits]:
    """Return the settings and the traits that the model in a folder was built with."""
    config: dict[str, Any] = files.read_json(folder / CONFIG)
    return schema.parse(config["settings"], str(folder)), TextTraits(**config["traits"])


def load_encoder_weights(encoder: nn.Module, folder: Path) -> None:
    """Load an encoder's weights, which lie in the folder alone or as part of a larger model."""
    from safetensors.torch import load_file

    names = encoder.state_dict().keys()
    weights = load_file(folder / WEIGHTS)
    found = {name.removeprefix(ENCODER): value for name, value in weights.items()}
    encoder.load_state_dict({name: value for name, value in found.items() if name in names})
