"""Weights that somebody has published in Hugging Face's format, as a place to start from.

Weights are read from safetensors alone, and no code that lies beside them is ever run.
"""

from __future__ import annotations

import math
import re
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
SHARD = re.compile(r"model[\w.-]*\.safetensors")
SHARD_NAMES = "model*.safetensors"
# Keys of a config that have code fetched or run, or weights read in another way.
NOT_READ = ("auto_map", "quantization_config", "attn_implementation", "torch_dtype", "dtype")
MOST_UNHELD = 10_000_000
"""So many weights may start fresh of a checkpoint that holds none of them."""
ADAPTERS = "adapter_config.json"
NEXT_SENTENCE = "seq_relationship.weight"
"""How the weight ends that BERT predicts next sentences with, from what its pooler gives."""
GPT2, VIT = "gpt2", "vit_mae"
MODEL_TYPES = {"bert": "bert", "gpt2": GPT2, "vit": VIT}
"""What transformers calls the architectures that a checkpoint can be of."""
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


def published_tokenizer(folder: Path, name: str) -> Tokenizer:
    """Return the tokenizer in a folder; it neither cuts texts nor fills them up.

    Args:
        folder: where it lies.
        name: what errors call it.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    if not (folder / TOKENIZER).is_file():
        raise BadInput(
            f"{name} holds no {TOKENIZER}: write it with AutoTokenizer.from_pretrained and "
            "save_pretrained"
        )
    try:
        tokenizer = load_tokenizer(folder)
    except Exception:  # noqa: BLE001 - the library raises no other
        raise BadInput(f"{name}: {TOKENIZER} is damaged: choose another checkpoint") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class Checkpoint:
    """A folder with a model and, if it reads texts, its tokenizer.

    Attributes:
        config: what its ``config.json`` describes, as transformers has it.
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
        if (folder / ADAPTERS).exists():
            raise BadInput(
                f"{name} holds adapters of another model ({ADAPTERS}), which are never loaded: "
                "merge them (PeftModel.merge_and_unload), and write the model with save_pretrained"
            )
        self._folder = folder
        self._name = name
        raw = self._json(CONFIG)
        if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
            raise BadInput(
                f"{name}: {CONFIG} names no model_type: it is not in Hugging Face's format, or it "
                "is damaged: choose another checkpoint"
            )
        if raw["model_type"] != model_type:
            raise BadInput(
                f"{name} is a {raw['model_type']!r:.60}, but the architecture asks for a "
                f"{model_type!r}: choose the architecture of the checkpoint, or another checkpoint"
            )
        self._shapes = self._read_shapes()
        self.config = self._checked_config(raw)

    def _json(self, file: str) -> Any:
        try:
            return files.read_json(self._folder / file)
        except (ValueError, RecursionError):
            raise self._damaged(file) from None

    def _damaged(self, file: str) -> BadInput:
        return BadInput(f"{self._name}: {file} is damaged: choose another checkpoint")

    def _read_shapes(self) -> dict[str, list[int]]:
        """Return the shapes of the weights in its files, by name; nothing else is opened."""
        from safetensors import SafetensorError, safe_open

        names = {WEIGHTS}
        if not (self._folder / WEIGHTS).is_file():
            index = self._json(SHARDS)
            weight_map = index.get("weight_map") if isinstance(index, dict) else None
            if not isinstance(weight_map, dict) or not weight_map:
                raise self._damaged(SHARDS)
            names = set(map(str, weight_map.values()))
        for name in sorted(names):
            if not SHARD.fullmatch(name) or not (self._folder / name).is_file():
                raise BadInput(
                    f"{self._name}: {SHARDS} names the file {name!r:.200}, which is not one of its "
                    f"own {SHARD_NAMES}: choose another checkpoint"
                )
        shapes: dict[str, list[int]] = {}
        for name in sorted(names):
            try:
                with safe_open(self._folder / name, "pt") as weights:
                    shapes |= {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118 - no mapping
            except (SafetensorError, OSError) as error:
                raise self._not_loaded(error) from None
        return shapes

    def _checked_config(self, raw: dict[str, Any]) -> Any:
        """Return what ``config.json`` describes, if that is a model of about its weights' size.

        The model is built without memory. What could have code run, or fetched, is left out.
        """
        import torch
        from transformers import AutoConfig, AutoModelForPreTraining

        quiet_transformers()
        kept = {key: raw[key] for key in raw if key not in NOT_READ and not key.startswith("_")}
        # The encoder's and a decoder's, under whatever name transformers takes them.
        named = [kept[key] for key in kept if key.endswith(("layer", "layers"))]
        layers = max((value for value in named if isinstance(value, int)), default=0)
        if layers > len(self._shapes):
            raise BadInput(
                f"{self._name}: {CONFIG} describes {layers:,} layers, but its files hold "
                f"{len(self._shapes)} weights: choose another checkpoint"
            )
        try:
            config = AutoConfig.for_model(**kept)
            with torch.device("meta"):
                described = AutoModelForPreTraining.from_config(config).num_parameters()
        # Of whatever kind it is: the file says anything at all.
        except Exception as error:  # noqa: BLE001
            why = " ".join(str(error).split())[:200]
            raise BadInput(
                f"{self._name}: {CONFIG} describes no model ({type(error).__name__}: {why}): "
                "choose another checkpoint"
            ) from None
        held = sum(math.prod(shape) for shape in self._shapes.values())
        if described > MOST_UNHELD + 2 * held:
            raise BadInput(
                f"{self._name}: {CONFIG} describes {described:,} weights, but its files hold "
                f"{held:,}: choose another checkpoint"
            )
        return config

    def _not_loaded(self, error: Exception) -> BadInput:
        why = " ".join(str(error).split())[:300]
        return BadInput(f"{self._name} cannot be loaded: {why}")

    @property
    def positions(self) -> int:
        """The longest sequence, in tokens."""
        positions: int = self.config.max_position_embeddings
        return positions

    @property
    def longest(self) -> int:
        """The longest sequence that it was trained on, which nothing tells: all that it takes."""
        return self.positions

    @property
    def predicts_next_sentences(self) -> bool:
        """Tell whether it has BERT's head for that, so that its pooler has been trained."""
        return any(name.endswith(NEXT_SENTENCE) for name in self._shapes)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer that it was trained with; it neither cuts texts nor fills them up.

        Raises:
            BadInput: there is none, or it has more tokens than the model.
        """
        tokenizer = published_tokenizer(self._folder, self._name)
        known, rows = tokenizer.get_vocab_size(), self.config.vocab_size
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
        loaded.vit.config.mask_ratio = ours.mask_ratio  # an objective that hides patches says so
        model["encoder"].vit, model["patch_decoder"] = loaded.vit, loaded.decoder
        # A finetuned model is built again from our settings: its encoder, and no decoder of note.
        decoder = {k: v for k, v in config.to_dict().items() if k.startswith("decoder_")}
        model.config.update(decoder)
        return model

    def _load(self, kind: Any) -> Any:
        import torch

        try:
            model, report = kind.from_pretrained(
                self._folder,
                config=self.config,
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                attn_implementation=fastest_attention(causal=self.config.model_type == GPT2),
            )
        # Of whatever kind it is: for a model that writes texts, the library reads more files.
        except Exception as error:  # noqa: BLE001
            raise self._not_loaded(error) from None
        self._check_missing(model, sorted(report["missing_keys"]))
        return model

    def _check_missing(self, model: Any, missing: list[str]) -> None:
        prefix = f"{model.base_model_prefix}." if hasattr(model, model.base_model_prefix) else ""
        if self.config.model_type == VIT:
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
