"""Replaced-token detection (Clark et al., 2020, ELECTRA, https://arxiv.org/abs/2003.10555).

A small generator fills in hidden tokens, and the backbone, the discriminator, tells of every token
whether it is the text's own or the generator's: it learns from all tokens, not from the hidden ones
alone. Both learn at once and share their embeddings; the discriminator's gradient does not reach
the generator through what that draws. In the end the generator and the discriminator's head go: the
backbone is a BERT, so that it differs from a masked one in what it was asked, and in nothing else,
and either can go on from the other.

The numbers that tokens are drawn by come from the host, each example's from a stream of its own.

Dimensions: N examples, T tokens, M hidden tokens of a batch, V tokens of the vocabulary.
"""

from __future__ import annotations

from functools import partial
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.inputs.tokenising import read_documents
from tasks.models import text
from tasks.models.transformer import fastest_attention, give_whole_masks
from tasks.objectives._masking import MaskedTexts, TokenSettings, Windows
from tasks.objectives._texts import start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from tokenizers import Tokenizer
    from torch import Tensor, nn
    from transformers import BertConfig, BertModel, ElectraForMaskedLM

    from tasks.inputs.documents import Documents
    from tasks.inputs.pairs import SegmentPairs
    from tasks.models.initial.kinds import InitialText

CONTEXT = text.BIDIRECTIONAL
VALIDATION_BATCH_SIZE = 64


class Settings(TokenSettings):
    """What the generator fills in, how large it is, and how much the detection counts."""

    vocabulary_size: int = Field(8000, ge=32, description="most tokens of the tokenizer")
    tokens: int = Field(128, ge=8, description="longest example, in tokens")
    probability: float = Field(0.15, gt=0, lt=1, description="share of tokens the generator fills")
    generator_share: float = Field(
        0.25, gt=0, le=1, description="the generator's width, as a share of the backbone's"
    )
    detection_weight: float = Field(
        50.0, gt=0, description="how much a token's detection counts beside a hidden token"
    )


class Replaced(MaskedTexts):
    """The task: texts with tokens hidden, a generator that fills them in, and who finds them."""

    def __init__(
        self,
        backbone: BertModel,
        tokenizer: Tokenizer,
        train: Documents,
        validation: Documents,
        settings: Settings,
        longest: int,
    ) -> None:
        from torch import nn

        windows = Windows(settings.tokens, settings.probability)
        super().__init__(tokenizer, train, validation, windows, longest)
        self.about = text.UNTRAINED_POOLER
        self._detection_weight = settings.detection_weight
        generator = build_generator(backbone, settings.generator_share)
        for encoder in (backbone, generator.electra):
            give_whole_masks(encoder)
        hidden_size = backbone.config.hidden_size
        head = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.Linear(hidden_size, 1)
        )
        self.model = nn.ModuleDict({"backbone": backbone, "generator": generator, "head": head})

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return the tensors of some training texts."""
        return self._examples(self.train_pairs, indices, randoms)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy of the hidden tokens, plus that of detecting, weighted."""
        filled, found = self._sums(batch)
        num_hidden, num_tokens = batch["counts"]
        return filled / num_hidden + self._detection_weight * found / num_tokens

    def validate(self) -> dict[str, float]:
        """Return metrics on the validation texts, hidden and filled in once and for all.

        ``loss`` is that of the detection, ``prior_loss`` that of always answering the share of
        replaced tokens; ``majority_accuracy`` is that of always answering the text's own.
        ``unigram_perplexity`` is that of filling in by the training texts' token frequencies.
        """
        order = np.argsort(self.validation_pairs.documents.lengths, kind="stable")
        batches = (
            self._examples(self.validation_pairs, chosen, ExampleRandom(0, 0, chosen))
            for chosen in slices(order, VALIDATION_BATCH_SIZE)
        )
        sums = partial(self._validation_sums, self.unigram())
        return _metrics(evaluate_sums(self.model, batches, sums))

    def save(self, folder: Path) -> None:
        """Write the backbone and its tokenizer."""
        self.save_with_tokenizer(self.model["backbone"], folder)

    def _examples(
        self, segment_pairs: SegmentPairs, indices: np.ndarray, randoms: ExampleRandom
    ) -> Batch:
        """Return masked texts, and ``uniform``, M, by which their tokens are drawn."""
        import torch

        generators = [randoms[index] for index in range(len(indices))]
        batch = self.examples(segment_pairs, indices, generators, strangers=False)
        rows, length = batch["input_ids"].shape
        hidden = np.bincount(batch["positions"].numpy() // length, minlength=rows)
        uniform = [
            generator.random(int(count))
            for generator, count in zip(generators, hidden, strict=True)
        ]
        num_tokens = batch["attention_mask"].sum() if "attention_mask" in batch else rows * length
        del batch["is_random"]
        return {
            **batch,
            "uniform": torch.from_numpy(np.concatenate(uniform)),
            "counts": torch.tensor([len(batch["targets"]), int(num_tokens)]).float(),
        }

    def _filled(self, batch: Batch) -> Float[Tensor, "M V"]:
        """Return the generator's logits of the hidden tokens."""
        generator = self.model["generator"]
        states = generator.electra(
            input_ids=batch["input_ids"],
            attention_mask=batch.get("attention_mask"),
            token_type_ids=batch["token_type_ids"],
        ).last_hidden_state
        hidden = states.flatten(0, 1)[batch["positions"]]
        logits: Tensor = generator.generator_lm_head(generator.generator_predictions(hidden))
        return logits.float()

    def _detected(
        self, batch: Batch, drawn: Int[Tensor, " M"]
    ) -> tuple[Float[Tensor, " _"], Float[Tensor, " _"]]:
        """Return of each token, N T, the logit of being replaced, and whether it is."""
        import torch

        positions = batch["positions"]
        ids = batch["input_ids"].flatten().scatter(0, positions, drawn)
        states = self.model["backbone"](
            input_ids=ids.view_as(batch["input_ids"]),
            attention_mask=batch.get("attention_mask"),
            token_type_ids=batch["token_type_ids"],
        ).last_hidden_state
        logits = self.model["head"](states).float().flatten()
        is_other = (drawn != batch["targets"]).float()
        return logits, torch.zeros_like(logits).scatter(0, positions, is_other)

    def _sums(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summed cross entropies of the hidden tokens, and of all tokens' detection."""
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        filled = self._filled(batch)
        logits, is_other = self._detected(batch, draw(filled, batch["uniform"]))
        attended = batch["attention_mask"].flatten().float() if "attention_mask" in batch else None
        found = binary_cross_entropy_with_logits(logits, is_other, attended, reduction="sum")
        return cross_entropy(filled, batch["targets"], reduction="sum"), found

    def _validation_sums(self, unigram: Float[Tensor, " V"], batch: Batch) -> dict[str, float]:
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        filled, targets = self._filled(batch), batch["targets"]
        logits, is_other = self._detected(batch, draw(filled, batch["uniform"]))
        if "attention_mask" in batch:
            attended = batch["attention_mask"].flatten().bool()
            logits, is_other = logits[attended], is_other[attended]
        return {
            "filled_loss": float(cross_entropy(filled, targets, reduction="sum")),
            "unigram_loss": -float(unigram[targets.cpu()].sum()),
            "hidden": len(targets),
            "loss": float(binary_cross_entropy_with_logits(logits, is_other, reduction="sum")),
            "correct": int(((logits > 0) == (is_other > 0)).sum()),
            "replaced": int(is_other.sum()),
            "tokens": len(logits),
        }


def _metrics(sums: Mapping[str, float]) -> dict[str, float]:
    hidden, tokens = max(sums["hidden"], 1), max(sums["tokens"], 1)
    share = sums["replaced"] / tokens
    shares = (share, 1 - share)
    return {
        "loss": sums["loss"] / tokens,
        "prior_loss": -sum(part * log(part) for part in shares if part > 0),
        "accuracy": sums["correct"] / tokens,
        "majority_accuracy": max(shares),
        "perplexity": float(np.exp(sums["filled_loss"] / hidden)),
        "unigram_perplexity": float(np.exp(sums["unigram_loss"] / hidden)),
    }


def draw(logits: Float[Tensor, "M V"], uniform: Float[Tensor, " M"]) -> Int[Tensor, " M"]:
    """Draw a token of each distribution by a number in 0 to 1; without a gradient.

    The distribution function is looked up in two steps, first among blocks of tokens, then within
    one, each added up by a matrix product: torch's own running sum is not deterministic on a GPU.
    """
    import torch
    from torch.nn.functional import pad

    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
        num_tokens = logits.shape[1]
        size = round(sqrt(num_tokens)) or 1
        shares = pad(logits.float().softmax(dim=1), (0, -num_tokens % size)).double()
        shares = shares.view(len(logits), -1, size)
        ends = _running_sums(shares.sum(dim=2))
        wanted = (uniform.double() * ends[:, -1])[:, None]
        block = (ends <= wanted).sum(dim=1).clamp(max=ends.shape[1] - 1)
        rows = torch.arange(len(logits), device=logits.device)
        inside = _running_sums(shares[rows, block])
        before = ends[rows, block] - inside[:, -1]
        place = (inside + before[:, None] <= wanted).sum(dim=1).clamp(max=size - 1)
        return (block * size + place).clamp(max=num_tokens - 1)


def _running_sums(values: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    import torch

    size = values.shape[1]
    ones = torch.ones(size, size, dtype=values.dtype, device=values.device)
    sums: Tensor = values @ ones.triu()
    return sums


def build_generator(backbone: BertModel, share: float) -> ElectraForMaskedLM:
    """Return a generator with random weights, and with the backbone's embeddings as its own.

    Args:
        backbone: what it is made for.
        share: of the backbone's width and heads; it has as many layers.
    """
    from transformers import ElectraConfig, ElectraForMaskedLM

    config: BertConfig = backbone.config
    heads = max(1, round(config.num_attention_heads * share))
    width = heads * max(1, round(config.hidden_size * share / heads))
    generator = ElectraForMaskedLM(
        ElectraConfig(
            vocab_size=config.vocab_size,
            embedding_size=config.hidden_size,
            hidden_size=width,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            hidden_act=config.hidden_act,
            hidden_dropout_prob=config.hidden_dropout_prob,
            attention_probs_dropout_prob=config.attention_probs_dropout_prob,
            max_position_embeddings=config.max_position_embeddings,
            type_vocab_size=config.type_vocab_size,
            initializer_range=config.initializer_range,
            layer_norm_eps=config.layer_norm_eps,
            pad_token_id=config.pad_token_id,
            attn_implementation=fastest_attention(),
        )
    )
    embeddings: nn.Module = backbone.embeddings
    generator.electra.embeddings = embeddings
    generator.generator_lm_head.weight = backbone.embeddings.word_embeddings.weight
    return generator


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialText | None = None,
) -> Replaced:
    """Train the tokenizer, tokenise both splits and build the model; or take those of ``initial``.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to start from; the generator starts fresh in any case.

    Raises:
        BadSettings: the architecture is not bidirectional.
        BadInput: the corpus holds images, or does not support the vocabulary that is asked for; or
            the model has fewer positions than an example.
    """
    started = start(
        "replaced", CONTEXT, architecture, architecture_settings, settings, train, initial
    )
    tokenizer = started.tokenizer
    splits = [read_documents(path, tokenizer) for path in (train, validation)]
    settings.start_embeddings(started.model, splits[0], "replaced")
    return Replaced(started.model.bert, tokenizer, splits[0], splits[1], settings, started.longest)
