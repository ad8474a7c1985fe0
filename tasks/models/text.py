"""Texts: token ids in; an encoder, a pooling and a head over it.

An architecture's encoder takes ``input_ids`` and, where something is padded, ``attention_mask``,
both N T, and gives ``last_hidden_state``, N T H. Those of transformers and our own are saved in
the same way: ``config.json``, ``model.safetensors`` and the tokenizer. A model's folder holds also
``head.json`` (how many labels, which pooling), and the weights above the encoder:

- as transformers has them, in ``model.safetensors`` too, where it has a class for encoder, pooling
  and head together: its ``AutoModelForSequenceClassification`` then loads the folder;
- in ``head.safetensors`` otherwise, and in every folder from before there were two ways.

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
from tasks.models.frequencies import load_shares
from tasks.models.model import ARCHITECTURES, AUTO, architecture_of, describe, description

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from tasks.contracts.records import Modality
    from tasks.contracts.settings import Settings
    from tasks.inputs.traits import TextTraits

INPUT_NAMES = ("input_ids", "attention_mask")
WEIGHTS, HEAD, HEAD_CONFIG = "model.safetensors", "head.safetensors", "head.json"
TRANSFORMERS_HEAD = "classifier"
"""What transformers calls a head that is one linear layer over what its encoder has pooled."""
WEIGHTED = "weighted"
"""The pooling that counts rare tokens more, and the module that does it."""
POOLER = "cls"
"""The pooling by BERT's pooler."""
UNTRAINED_POOLER = {"pooler": "untrained"}
"""What ``downstream.json`` says of a BERT that has never predicted next sentences."""
BIDIRECTIONAL, CAUSAL, SINGLE_TOKENS = "bidirectional", "causal", "single-token"
"""What the state of a token can know of the others; an objective asks for one of these."""


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
    transformers_pooling: str | None = None
    """The pooling of transformers' own class with this encoder and ``TRANSFORMERS_HEAD``."""


class Architecture(Protocol):
    """What the module of a text architecture holds.

    Attributes:
        BACKBONE: ``TextBackbone``.
        Settings: its sizes.
        CONTEXT: ``BIDIRECTIONAL``, ``CAUSAL`` or ``SINGLE_TOKENS``.
    """

    BACKBONE: type[TextBackbone]
    Settings: type[Settings]
    CONTEXT: str

    def build(self, settings: Any, traits: TextTraits) -> nn.Module:
        """Return the model to pretrain, with random weights and ``save_pretrained``."""

    def load_parts(self, folder: Path, *, pretrained: bool, dropout: float) -> Parts:
        """Return the encoder in a folder, or a random one like it.

        Args:
            folder: holds its ``config.json``, and its weights if they shall be loaded.
            pretrained: whether to load them.
            dropout: share of activations dropped in the encoder.
        """


def require_context(architecture: ModuleType, context: str, objective: str) -> None:
    """Check that an architecture's states know what an objective needs them to.

    Args:
        architecture: the module.
        context: ``BIDIRECTIONAL``, ``CAUSAL`` or ``SINGLE_TOKENS``.
        objective: the key of the objective, for the error.

    Raises:
        BadSettings: they do not; the message names the architectures whose states do.
    """
    if getattr(architecture, "CONTEXT", None) != context:
        modules = {n: registry.load(ARCHITECTURES, n, "") for n in registry.entries(ARCHITECTURES)}
        fitting = [
            n for n, module in modules.items() if getattr(module, "CONTEXT", None) == context
        ]
        raise BadSettings(
            f"the objective {objective!r} needs a {context} architecture, which "
            f"{architecture.__name__.rpartition('.')[2]!r} is not: set architecture: "
            f"{' or '.join(fitting)}"
        )


class TextBackbone:
    """A pretrained encoder of texts, with its tokenizer.

    Attributes:
        modality: ``text``.
        architecture: the key of its architecture.
        folder: where it lies.
        tokenizer: cuts texts to the longest that the encoder takes.
    """

    modality: Modality = "text"

    def __init__(self, folder: Path) -> None:
        self.architecture: str = description(folder)["architecture"]
        self.folder = folder
        self.tokenizer: Tokenizer = load_tokenizer(folder)
        self._tokenizer_config: dict[str, Any] = files.read_json(folder / TOKENIZER_CONFIG)
        self.tokenizer.enable_truncation(self._tokenizer_config["model_max_length"])

    def cut_to(self, num_tokens: int, *, all_must_fit: bool = False) -> None:
        """Cut texts to so many tokens, or to the longest that the backbone was trained on.

        Args:
            num_tokens: special tokens included.
            all_must_fit: refuse a backbone that was trained on fewer.

        Raises:
            BadInput: it was, and it is refused.
        """
        longest = self._tokenizer_config["model_max_length"]
        if all_must_fit and num_tokens > longest:
            raise BadInput(
                f"finetune.tokens is {num_tokens}, but the backbone {self.folder} was trained on "
                f"texts of at most {longest} tokens: lower finetune.tokens, or pretrain with more "
                "tokens"
            )
        self._tokenizer_config["model_max_length"] = min(num_tokens, longest)
        self.tokenizer.enable_truncation(min(num_tokens, longest))

    def inputs(self, contents: Sequence[str]) -> TokenInputs:
        """Tokenise texts."""
        return tokenise(contents, self.tokenizer)

    def read_inputs(self, splits: Sequence[Path]) -> TokenInputs:
        """Tokenise the texts of whole splits, one after the other, unless that has been done."""
        return read_token_inputs(splits, self.tokenizer)

    def model(
        self, labels: list[str], *, pretrained: bool = True, dropout: float = 0, pooling: str = AUTO
    ) -> TextModel:
        """Return a classifier with a new head on the encoder, or on a random one like it.

        Args:
            labels: the class names, in the order of the logits.
            pretrained: whether to load the encoder's weights.
            dropout: share of activations dropped, in the encoder and before the head.
            pooling: what the head sees of a text; ``auto`` for the architecture's own, or the next
                one where that takes a pooler which nothing has trained.

        Raises:
            BadInput: it takes the tokens' frequencies, and the backbone has none.
            BadSettings: the architecture has no such pooling.
        """
        model = self._model(labels, pretrained=pretrained, dropout=dropout, pooling=pooling)
        if WEIGHTED in model.module:
            shares = load_shares(self.folder)
            if shares is None:
                raise BadInput(
                    f"finetune.pooling is {pooling!r}, but {self.folder} does not tell how "
                    "frequent its tokens are: pretrain it again, or choose another pooling"
                )
            weighted: Any = model.module[WEIGHTED]
            weighted.weigh(shares)
        return model

    def _model(
        self, labels: list[str], *, pretrained: bool, dropout: float, pooling: str
    ) -> TextModel:
        architecture: Architecture = architecture_of(self.folder)
        parts = architecture.load_parts(self.folder, pretrained=pretrained, dropout=dropout)
        own = parts.poolings[0]
        if own == POOLER and UNTRAINED_POOLER.items() <= description(self.folder).items():
            own = parts.poolings[1]
        if pooling not in (AUTO, *parts.poolings):
            raise BadSettings(
                f"finetune.pooling: {pooling!r} does not exist for the architecture "
                f"{self.architecture!r}; {one_of(pooling, (AUTO, *parts.poolings))}"
            )
        return TextModel(self, labels, parts, own if pooling == AUTO else pooling, dropout)

    def finished_model(self, labels: list[str]) -> TextModel:
        """Return the classifier that lies in the backbone's own folder."""
        from safetensors import safe_open
        from safetensors.torch import load_file

        about = files.read_json(self.folder / HEAD_CONFIG)
        model = self._model(labels, pretrained=True, dropout=0, pooling=about["pooling"])
        if (self.folder / HEAD).exists():
            model.above_encoder.load_state_dict(load_file(self.folder / HEAD))
        else:
            with safe_open(self.folder / WEIGHTS, "pt") as weights:
                head = {
                    name: weights.get_tensor(f"{TRANSFORMERS_HEAD}.{name}")
                    for name in ("weight", "bias")
                }
            model.module["head"][1].load_state_dict(head)  # type: ignore[index]
        return model

    def save_tokenizer(self, folder: Path) -> None:
        """Copy the tokenizer to another folder, with the length that texts are cut to."""
        files.write_text(folder / TOKENIZER, (self.folder / TOKENIZER).read_text(encoding="utf-8"))
        files.write_json(folder / TOKENIZER_CONFIG, self._tokenizer_config)


class TextModel:
    """A classifier of texts.

    Attributes:
        modality: ``text``.
        labels: the class names, in the order of the logits.
        module: ``encoder``, ``head``, and perhaps ``reader`` and ``weighted``.
        pooling: what the head sees of a text.
    """

    modality: Modality = "text"

    def __init__(
        self, backbone: TextBackbone, labels: list[str], parts: Parts, pooling: str, dropout: float
    ) -> None:
        """Put a new head on a backbone.

        Args:
            backbone: what the texts are tokenised by.
            labels: the class names.
            parts: of the backbone.
            pooling: one of ``parts.poolings``.
            dropout: share of activations dropped before the head.
        """
        from torch import nn

        self.labels = labels
        self.pooling = pooling
        head = nn.Sequential(nn.Dropout(dropout), nn.Linear(parts.num_features, len(labels)))
        modules = {"encoder": parts.encoder, "head": head}
        if parts.reader is not None:
            modules["reader"] = parts.reader
        if pooling == WEIGHTED:
            from tasks.models.text_layers import WeightedMean

            vocabulary_size = backbone.tokenizer.get_vocab_size()
            modules[WEIGHTED] = WeightedMean(vocabulary_size, parts.num_features)
        self.module = nn.ModuleDict(modules)
        self._backbone = backbone
        self._as_transformers = pooling == parts.transformers_pooling

    @property
    def encoder(self) -> nn.Module:
        """The backbone, which ``frozen`` finetuning leaves alone."""
        return self.module["encoder"]

    @property
    def above_encoder(self) -> nn.ModuleDict:
        """Head, reader and what pools, as parts of the classifier itself."""
        from torch import nn

        return nn.ModuleDict({name: self.module[name] for name in self.module if name != "encoder"})

    @property
    def tokenizer(self) -> Tokenizer:
        """Cuts texts to the longest that the model was trained with."""
        return self._backbone.tokenizer

    def inputs(self, contents: Sequence[str]) -> TokenInputs:
        """Tokenise texts."""
        return self._backbone.inputs(contents)

    def read_inputs(self, splits: Sequence[Path]) -> TokenInputs:
        """Tokenise the texts of whole splits, one after the other, unless that has been done."""
        return self._backbone.read_inputs(splits)

    def read(self, batch: dict[str, Tensor]) -> Any:
        """Return what encoder and reader make of a batch: ``last_hidden_state`` (N T H), …."""
        output = self.encoder(**{name: batch[name] for name in INPUT_NAMES if name in batch})
        return (
            self.module["reader"](output.last_hidden_state) if "reader" in self.module else output
        )

    def features(self, batch: dict[str, Tensor]) -> Float[Tensor, "N H"]:
        """Return what the head takes of a batch made by ``TokenInputs``."""
        output = self.read(batch)
        mask = batch.get("attention_mask")
        if WEIGHTED in self.module:
            features: Tensor = self.module[WEIGHTED](
                batch["input_ids"], output.last_hidden_state, mask
            )
            return features
        return pool(self.pooling, output, mask)

    def encoder_features(self, batch: dict[str, Tensor]) -> Float[Tensor, "N _"]:
        """Return the mean of the encoder's states, whatever else a head is given."""
        output = self.encoder(**{name: batch[name] for name in INPUT_NAMES if name in batch})
        return pool("mean", output, batch.get("attention_mask"))

    def logits(self, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
        """Return the logits of a batch made by ``TokenInputs``, which may hold more than that."""
        logits: Tensor = self.module["head"](self.features(batch))
        return logits

    def save(self, folder: Path) -> None:
        """Write encoder and head, the tokenizer, and what they are."""
        if self._as_transformers:
            from tasks.models.transformer import with_head

            encoder: Any = self.encoder
            save(with_head(encoder, self.module["head"][1], self.labels), folder)  # type: ignore[index]
            (folder / HEAD).unlink(missing_ok=True)
            self._save_beside_weights(folder)
        else:
            self.save_apart(folder)
        describe(
            folder,
            architecture=self._backbone.architecture,
            modality=self.modality,
            labels=self.labels,
        )

    def save_apart(self, folder: Path) -> None:
        """Write the encoder, what is above it in a file of its own, and the tokenizer."""
        from safetensors.torch import save_file

        save(self.encoder, folder)
        weights = self.above_encoder.state_dict()
        above = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        save_file(above, folder / HEAD, metadata={"format": "pt"})
        self._save_beside_weights(folder)

    def _save_beside_weights(self, folder: Path) -> None:
        about = {"num_labels": len(self.labels), "pooling": self.pooling}
        files.write_json(folder / HEAD_CONFIG, about)
        self._backbone.save_tokenizer(folder)


def save(model: Any, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` of a model with ``save_pretrained``."""
    from tasks.models.transformer import quiet_transformers

    quiet_transformers()
    model.save_pretrained(folder)


def pool(pooling: str, output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:
    """Make one vector of each sequence.

    Args:
        pooling: ``cls``, BERT's pooled ``[CLS]``, which next-sentence prediction has taught to sum
            up a text, and which BERT's own finetuning uses (Devlin et al., 2019, section 4.1);
            ``mean`` or ``max`` of the tokens' states; or ``last``, the state of the last token,
            which has seen all others if the model is causal.
        output: an encoder's, with ``last_hidden_state`` (N T H); for ``cls`` with
            ``pooler_output`` (N H).
        mask: 1 for tokens, 0 for padding, which stands behind; without it nothing is padded.
    """
    import torch

    if pooling == POOLER:
        pooled: Tensor = output.pooler_output
        return pooled
    states: Tensor = output.last_hidden_state
    if pooling == "mean":
        if mask is None:
            return states.sum(1) / states.shape[1]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    if pooling == "max":
        if mask is not None:
            states = states.masked_fill(mask[..., None] == 0, float("-inf"))
        return states.amax(1)
    if mask is None:
        return states[:, -1]
    rows = torch.arange(states.shape[0], device=states.device)
    return states[rows, mask.sum(1) - 1]
