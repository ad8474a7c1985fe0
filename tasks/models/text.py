"""The family of text models: token ids in; an encoder, a pooling and a head over it.

An architecture's encoder takes ``input_ids`` and, where something is padded, ``attention_mask``,
both N T, and gives ``last_hidden_state``, N T H. Those of transformers and our own are saved in
the same way: ``config.json``, ``model.safetensors`` and the tokenizer; for a classifier also
``head.json`` and ``head.safetensors``, so that loading it needs no settings.

Dimensions: N sequences, T tokens (the longest of a batch), H features, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tasks.contracts import files, registry
from tasks.errors import BadInput, BadSettings, one_of
from tasks.inputs.documents import TokenInputs
from tasks.inputs.tokenising import read_token_inputs, tokenise
from tasks.inputs.tokenizer import TOKENIZER, TOKENIZER_CONFIG, load_tokenizer
from tasks.models.pooling import pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from tasks.contracts.settings import Settings
    from tasks.inputs.traits import TextTraits

MODALITY = "text"
INPUTS = ("input_ids", "attention_mask")
CONFIG, HEAD, HEAD_CONFIG = "config.json", "head.safetensors", "head.json"
ARCHITECTURES = "tasks.models.architectures"
# What the state of a token can know of the others; an objective asks for one of these.
BOTH_SIDES, LEFT_SIDE, SINGLE_TOKENS = "tokens on both sides", "tokens to the left", "single tokens"
AUTO = "auto"


@dataclass(frozen=True)
class Parts:
    """What a classifier is built on."""

    encoder: nn.Module
    """The backbone."""
    num_features: int
    """H, of what is pooled."""
    poolings: tuple[str, ...]
    """Those that make sense for it, the architecture's own first."""
    reader: nn.Module | None = None
    """What reads the encoder's states before they are pooled; learnt with the head."""


class Architecture(Protocol):
    """What a text architecture's module adds to this family.

    Attributes:
        Settings: its sizes.
        READS: ``BOTH_SIDES``, ``LEFT_SIDE`` or ``SINGLE_TOKENS``.
    """

    Settings: type[Settings]
    READS: str

    def build(self, settings: Any, traits: TextTraits) -> nn.Module:
        """Return the model to pretrain, with random weights and ``save_pretrained``."""

    def load_parts(self, folder: Path, *, pretrained: bool, dropout: float) -> Parts:
        """Return the encoder in a folder, or a random one like it."""


def require_reading(architecture: ModuleType, reads: str, objective: str) -> None:
    """Check that an architecture reads as an objective needs it.

    Raises:
        BadSettings: it does not; the message names those that do.
    """
    if getattr(architecture, "READS", None) != reads:
        modules = [registry.load(ARCHITECTURES, n, "") for n in registry.entries(ARCHITECTURES)]
        fitting = [_name(module) for module in modules if getattr(module, "READS", None) == reads]
        raise BadSettings(
            f"the objective {objective!r} needs an architecture that reads {reads}, which "
            f"{_name(architecture)!r} does not: set architecture: {' or '.join(fitting)}"
        )


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def inputs(contents: Sequence[str], folder: Path) -> TokenInputs:
    """Tokenise texts for the model in ``folder``, cut to the length it was trained with."""
    return tokenise(contents, _truncating_tokenizer(folder))


def read_inputs(splits: Sequence[Path], folder: Path) -> TokenInputs:
    """Return the same of whole splits, one after the other, from the token cache."""
    return read_token_inputs(splits, _truncating_tokenizer(folder))


def _truncating_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_truncation(files.read_json(folder / TOKENIZER_CONFIG)["model_max_length"])
    return tokenizer


def new_classifier(
    folder: Path, num_labels: int, *, pretrained: bool, dropout: float = 0.0, pooling: str = AUTO
) -> nn.ModuleDict:
    """Return a head on the backbone in ``folder``, or on a random one like it.

    Args:
        folder: the backbone's.
        num_labels: K.
        pretrained: whether to load the backbone's weights.
        dropout: share of activations dropped, in the backbone and before the head.
        pooling: what the head sees of a text; ``auto`` for the architecture's own.

    Raises:
        BadSettings: the architecture has no such pooling.
    """
    from torch import nn

    config = files.read_json(folder / CONFIG)
    name = config.get("architecture") or config["model_type"]
    architecture: Any = registry.load(ARCHITECTURES, name, str(folder / CONFIG))
    parts: Parts = architecture.load_parts(folder, pretrained=pretrained, dropout=dropout)
    if pooling not in (AUTO, *parts.poolings):
        raise BadSettings(
            f"finetune.pooling: {pooling!r} does not exist for the architecture {name!r}; "
            f"{one_of(pooling, (AUTO, *parts.poolings))}"
        )
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(parts.num_features, num_labels))
    modules = {"encoder": parts.encoder, "head": head}
    if parts.reader is not None:
        modules["reader"] = parts.reader
    classifier: Any = nn.ModuleDict(modules)
    classifier.pooling = parts.poolings[0] if pooling == AUTO else pooling
    return classifier


def load_classifier(folder: Path) -> nn.ModuleDict:
    """Return a finished classifier."""
    from safetensors.torch import load_file

    about = files.read_json(folder / HEAD_CONFIG)
    classifier = new_classifier(
        folder, about["num_labels"], pretrained=True, pooling=about["pooling"]
    )
    _above_encoder(classifier).load_state_dict(load_file(folder / HEAD))
    return classifier


def logits(classifier: nn.ModuleDict, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
    """Return the logits of a batch made by ``TokenInputs``."""
    output = classifier["encoder"](**batch)
    if "reader" in classifier:
        output = classifier["reader"](output.last_hidden_state)
    pooling: Any = classifier.pooling
    result: Tensor = classifier["head"](pool(pooling, output, batch.get("attention_mask")))
    return result


def backbone(classifier: nn.ModuleDict) -> nn.Module:
    """Return the part that ``frozen`` finetuning leaves alone."""
    return classifier["encoder"]


def save(model: Any, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``."""
    from tasks.models.transformer import quiet_transformers

    quiet_transformers()
    model.save_pretrained(folder)


def save_classifier(classifier: nn.ModuleDict, folder: Path) -> None:
    """Write the encoder as any other model, and what lies above it beside it."""
    from safetensors.torch import save_file

    save(classifier["encoder"], folder)
    weights = _above_encoder(classifier).state_dict()
    above = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(above, folder / HEAD, metadata={"format": "pt"})
    num_labels = len(classifier["head"][1].bias)  # type: ignore[index]
    files.write_json(
        folder / HEAD_CONFIG, {"num_labels": num_labels, "pooling": classifier.pooling}
    )


def _above_encoder(classifier: nn.ModuleDict) -> nn.ModuleDict:
    """Return head and reader, as parts of the classifier itself."""
    from torch import nn

    return nn.ModuleDict({name: part for name, part in classifier.items() if name != "encoder"})


def require_positions(folder: Path, tokens: int) -> None:
    """Check that the model in ``folder`` has a position for each token of a text.

    Raises:
        BadInput: it has fewer.
    """
    positions = files.read_json(folder / TOKENIZER_CONFIG)["model_max_length"]
    if tokens > positions:
        raise BadInput(
            f"finetune.tokens is {tokens}, but the backbone {folder} has {positions} positions: "
            "lower finetune.tokens, or take a backbone with more positions"
        )


def copy_inputs(source: Path, folder: Path, tokens: int) -> None:
    """Copy what turns texts into inputs, the tokenizer, from one model's folder to another.

    Args:
        source: the backbone's folder.
        folder: the classifier's.
        tokens: texts are cut to so many, or to the source's positions if those are fewer.
    """
    files.write_text(folder / TOKENIZER, (source / TOKENIZER).read_text(encoding="utf-8"))
    config = files.read_json(source / TOKENIZER_CONFIG)
    longest = min(tokens, config["model_max_length"])
    files.write_json(folder / TOKENIZER_CONFIG, {**config, "model_max_length": longest})
