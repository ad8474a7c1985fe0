"""The family of text models: transformers' classes, fed with token ids.

Dimensions: N sequences, T tokens (the longest of a batch), K labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.models.tokenizer import PADDING, TOKENIZER, TOKENIZER_CONFIG, load_tokenizer, token_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jaxtyping import Float
    from torch import Tensor, nn

MODALITY = "text"
INPUTS = ("input_ids", "attention_mask")
HEAD = "head.safetensors"


@dataclass(frozen=True)
class TokenInputs:
    """Token ids of each text, from ``[CLS]`` to ``[SEP]``."""

    ids: list[list[int]]
    padding_token: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a text."""
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return padded ``input_ids`` and ``attention_mask``, both N T."""
        chosen = [self.ids[index] for index in indices]
        return pad(chosen, self.padding_token)


def pad(sequences: Sequence[Sequence[int]], padding_token: int) -> dict[str, Tensor]:
    """Return ``input_ids`` and ``attention_mask``, both N T, of sequences padded to the longest."""
    import torch

    longest = max(map(len, sequences))
    ids = np.full((len(sequences), longest), padding_token, dtype=np.int64)
    mask = np.zeros((len(sequences), longest), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def inputs(contents: Sequence[str], folder: Path) -> TokenInputs:
    """Tokenise texts for the model in ``folder``, cut to the length it was trained with."""
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_truncation(files.read_json(folder / TOKENIZER_CONFIG)["model_max_length"])
    encodings = tokenizer.encode_batch_fast(list(contents))
    return TokenInputs([encoding.ids for encoding in encodings], token_id(PADDING))


def attention() -> str:
    """Return the fastest attention for this machine.

    On a CPU, the backward pass of torch's fused attention takes longer than plain matrix products.
    """
    import torch

    return "sdpa" if torch.cuda.is_available() else "eager"


def _quiet_transformers() -> None:
    """Switch off load reports and bars: a new head is meant to be new, and bars are ours."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def new_classifier(
    folder: Path, num_labels: int, *, pretrained: bool, dropout: float = 0.0
) -> nn.ModuleDict:
    """Return a head on the backbone in ``folder``, or on a random one like it."""
    from torch import nn
    from transformers import AutoConfig, AutoModel

    _quiet_transformers()
    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = dropout
    implementation = {"attn_implementation": attention()}
    if pretrained:
        encoder = AutoModel.from_pretrained(folder, config=config, **implementation)
    else:
        encoder = AutoModel.from_config(config, **implementation)
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(config.hidden_size, num_labels))
    return nn.ModuleDict({"encoder": encoder, "head": head})


def load_classifier(folder: Path) -> nn.ModuleDict:
    """Return a finished classifier."""
    from safetensors.torch import load_file

    weights = load_file(folder / HEAD)
    classifier = new_classifier(folder, len(weights["1.bias"]), pretrained=True)
    classifier["head"].load_state_dict(weights)
    return classifier


def logits(classifier: nn.ModuleDict, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
    """Return the logits of a batch made by ``TokenInputs``.

    The head sees the pooled ``[CLS]`` token, as in BERT's own finetuning (Devlin et al., 2019,
    section 4.1): next-sentence prediction has taught it to sum up a text.
    """
    output: Tensor = classifier["head"](classifier["encoder"](**batch).pooler_output)
    return output


def backbone(classifier: nn.ModuleDict) -> nn.Module:
    """Return the part that ``frozen`` finetuning leaves alone."""
    return classifier["encoder"]


def save(model: Any, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``."""
    _quiet_transformers()
    model.save_pretrained(folder)


def save_classifier(classifier: nn.ModuleDict, folder: Path) -> None:
    """Write the encoder as transformers does, and the head beside it."""
    from safetensors.torch import save_file

    save(classifier["encoder"], folder)
    weights = classifier["head"].state_dict()
    head = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(head, folder / HEAD, metadata={"format": "pt"})


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
