"""Weights that somebody has published in Hugging Face's format, as a place to start from.

Weights are read from safetensors alone, and no code that lies beside them is ever run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.inputs.tokenizer import TOKENIZER, load_tokenizer
from tasks.models.transformer import fastest_attention, quiet_transformers
from tasks.progress import say

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tokenizers import Tokenizer

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

CONFIG, WEIGHTS, SHARDS = "config.json", "model.safetensors", "model.safetensors.index.json"
NEXT_SENTENCE = "seq_relationship.weight"
"""How the weight ends that BERT predicts next sentences with, from what its pooler gives."""
GPT2, VIT = "gpt2", "vit_mae"
# All that is ever read of a checkpoint.
PATTERNS = (CONFIG, "model*.safetensors", SHARDS, TOKENIZER)
# Parts of an encoder that many published ones lack: they start fresh, as heads do.
_MAY_BE_MISSING = ("pooler.",)
# What our encoder of images takes from a ViT's config, and what it has to find there.
_SIZES = {
    "patch_size": "patch_size",
    "layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "heads": "num_attention_heads",
    "decoder_hidden_size": "hidden_size",
}
_FIXED = ("intermediate_size", "hidden_act", "layer_norm_eps", "qkv_bias")


class Checkpoint:
    """A folder with a model and, if it reads texts, its tokenizer.

    Attributes:
        config: its ``config.json``.
    """

    def __init__(self, folder: Path, model_type: str, name: str) -> None:
        """Check what lies in the folder.

        Args:
            folder: where it lies.
            model_type: what transformers calls the architecture.
            name: what errors call it.

        Raises:
            BadInput: it is incomplete, of another architecture, or has no safetensors.
        """
        if not (folder / CONFIG).is_file():
            raise BadInput(f"{name} holds no {CONFIG}: name a folder in Hugging Face's format")
        if not any((folder / weights).is_file() for weights in (WEIGHTS, SHARDS)):
            raise BadInput(
                f"{name} holds no {WEIGHTS}: pickled weights are never read; load it where you "
                "trust it with AutoModel.from_pretrained, and write it with save_pretrained"
            )
        try:
            self.config: dict[str, Any] = files.read_json(folder / CONFIG)
            own_type = self.config["model_type"]
        except (ValueError, KeyError, TypeError):
            raise BadInput(
                f"{name}: {CONFIG} names no model_type: it is not in Hugging Face's format, or it "
                "is damaged: choose another checkpoint"
            ) from None
        if own_type != model_type:
            raise BadInput(
                f"{name} is a {own_type!r}, but the architecture asks for a {model_type!r}: choose "
                "the architecture of the checkpoint, or another checkpoint"
            )
        self._folder = folder
        self._name = name

    @property
    def positions(self) -> int:
        """The longest sequence, in tokens."""
        positions: int = self.config[
            "n_positions" if self.config["model_type"] == GPT2 else "max_position_embeddings"
        ]
        return positions

    @property
    def predicts_next_sentences(self) -> bool:
        """Tell whether it has BERT's head for that, so that its pooler has been trained."""
        from safetensors import safe_open

        if (self._folder / SHARDS).is_file():
            names = list(files.read_json(self._folder / SHARDS)["weight_map"])
        else:
            with safe_open(self._folder / WEIGHTS, "pt") as weights:
                names = list(weights.keys())
        return any(name.endswith(NEXT_SENTENCE) for name in names)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer that it was trained with; it neither cuts texts nor fills them up.

        Raises:
            BadInput: there is none, or it has more tokens than the model.
        """
        if not (self._folder / TOKENIZER).is_file():
            raise BadInput(
                f"{self._name} holds no {TOKENIZER}: write it with AutoTokenizer.from_pretrained "
                "and save_pretrained"
            )
        tokenizer = load_tokenizer(self._folder)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        known, rows = tokenizer.get_vocab_size(), self.config["vocab_size"]
        if known > rows:
            raise BadInput(
                f"{self._name}: the tokenizer has {known:,} tokens, the model {rows:,}: they do "
                "not belong together"
            )
        return tokenizer

    def pretraining_model(self) -> Any:
        """Return the model with its pretraining heads; those that it lacks start fresh.

        Raises:
            BadInput: weights are damaged, missing or of another shape.
        """
        from transformers import AutoModelForPreTraining

        return self._load(AutoModelForPreTraining)

    def encoder(self) -> Any:
        """Return the model without heads.

        Raises:
            BadInput: weights are damaged, missing or of another shape.
        """
        from transformers import AutoModel

        return self._load(AutoModel)

    def image_model(self, architecture: ModuleType, traits: ImageTraits) -> ImageParts:
        """Return the parts of an image architecture, encoder and decoder, with these weights.

        Raises:
            BadInput: it is made for other images, its encoder differs from ours in more than its
                sizes, or weights are damaged, missing or of another shape.
            BadSettings: the architecture has no such sizes.
        """
        loaded = self.pretraining_model()
        config = loaded.config
        shape = (config.num_channels, config.image_size, config.image_size)
        if shape != traits.shape:
            raise BadInput(
                f"{self._name} is for images of {shape} (channels, height, width), but the corpus "
                f"has {traits.shape}: set its clean.size and clean.mode"
            )
        sizes = {ours: getattr(config, theirs) for ours, theirs in _SIZES.items()}
        model = architecture.build(architecture.Settings.parse(sizes, self._name), traits)
        ours = model["encoder"].vit.config
        for key in _FIXED:
            if getattr(ours, key) != getattr(config, key):
                raise BadInput(
                    f"{self._name}: {key} is {getattr(config, key)}, but our encoder of these "
                    f"sizes has {getattr(ours, key)}: choose another checkpoint"
                )
        model["encoder"].vit, model["patch_decoder"] = loaded.vit, loaded.decoder
        # A finetuned model is built again from our settings: its encoder, and no decoder of note.
        decoder = {k: v for k, v in config.to_dict().items() if k.startswith("decoder_")}
        model.config.update(decoder)
        return model

    def _load(self, kind: Any) -> Any:
        import torch
        from safetensors import SafetensorError

        quiet_transformers()
        try:
            model, report = kind.from_pretrained(
                self._folder,
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                attn_implementation=fastest_attention(causal=self.config["model_type"] == GPT2),
            )
        except (SafetensorError, RuntimeError, ValueError, OSError) as error:
            raise BadInput(
                f"{self._name} cannot be loaded: {' '.join(str(error).split())[:300]}"
            ) from None
        self._check_missing(model, sorted(report["missing_keys"]))
        return model

    def _check_missing(self, model: Any, missing: list[str]) -> None:
        prefix = f"{model.base_model_prefix}." if hasattr(model, model.base_model_prefix) else ""
        if self.config["model_type"] == VIT:
            prefix = ""  # its decoder is no head: transformers cannot draw one that learns
        inner = [key.removeprefix(prefix) for key in missing if key.startswith(prefix)]
        lost = [key for key in inner if not key.startswith(_MAY_BE_MISSING)]
        if lost:
            raise BadInput(
                f"{self._name} lacks {len(lost)} of the model's weights, {lost[0]} among them: "
                "choose another checkpoint"
            )
        if missing:
            say(f"{self._name}: {len(missing)} weights start fresh: {', '.join(missing[:4])} …")
