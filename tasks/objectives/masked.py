"""Masked language modelling with next-sentence prediction (Devlin et al., 2019, section 3.1).

An example is a window of one text, cut into two segments; half of the time the second segment is
taken from another text. A text of one sentence is halved. Of the chosen tokens 80 % are masked,
10 % replaced by a random token, 10 % left as they are. Logits are computed where they are needed:
at the chosen tokens alone.

Dimensions: N examples, T tokens, M chosen tokens of a batch, V tokens of the vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import records
from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.models import text
from tasks.models.tokenizer import (
    MASK,
    PADDING,
    SEPARATOR,
    SPECIAL_TOKENS,
    START,
    save_tokenizer,
    token_id,
    train_tokenizer,
)
from tasks.models.traits import TextTraits
from tasks.objectives._documents import Documents, read_documents, read_texts

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from tokenizers import Tokenizer
    from torch import Tensor

IGNORED = -100


class Settings(contract.Settings):
    """How masked language modelling chooses its targets."""

    vocabulary_size: int = Field(8000, ge=32, description="most tokens of the tokenizer")
    tokens: int = Field(128, ge=8, description="longest example, in tokens")
    probability: float = Field(0.15, gt=0, lt=1, description="share of tokens to predict")
    next_sentence: bool = Field(True, description="also predict whether B follows A")


class Masked:
    """The task: examples from texts, and their loss."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        train: Documents,
        validation: Documents,
        settings: Settings,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self.train_documents = train
        self._validation = validation
        self._settings = settings
        self._start, self._separator, self._mask, self._padding = (
            token_id(token) for token in (START, SEPARATOR, MASK, PADDING)
        )

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, special ones included."""
        return np.minimum(self.train_documents.lengths + 3, self._settings.tokens)

    def batch(self, indices: np.ndarray, generator: np.random.Generator) -> dict[str, Tensor]:
        """Return the tensors of some training texts."""
        return self._examples(self.train_documents, indices, generator)

    def loss(self, batch: dict[str, Tensor]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of the chosen tokens, plus that of the next sentence."""
        from torch.nn.functional import cross_entropy

        masked, _, next_sentence, _ = self._forward(batch)
        loss = cross_entropy(masked.float(), batch["targets"])
        if next_sentence is not None:
            loss = loss + cross_entropy(next_sentence.float(), batch["is_random"])
        return loss

    def validate(self) -> dict[str, float]:
        """Return loss, perplexity and accuracies on the validation texts, masked once and for all.

        ``unigram_perplexity`` is that of always guessing by the training texts' token frequencies.
        """
        import torch
        from torch.nn.functional import cross_entropy

        device = next(self.model.parameters()).device
        order = np.argsort(self._validation.lengths, kind="stable")
        generator = np.random.default_rng(0)
        unigram = torch.from_numpy(
            self.train_documents.unigram_log_probabilities(self._tokenizer.get_vocab_size())
        )
        sums: dict[str, float] = dict.fromkeys(
            ("loss", "unigram", "right", "tokens", "next", "pairs"), 0.0
        )
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), 64):
                batch = self._examples(self._validation, order[start : start + 64], generator)
                batch = {name: value.to(device) for name, value in batch.items()}
                masked, targets, next_sentence, is_random = self._forward(batch)
                sums["loss"] += float(cross_entropy(masked.float(), targets, reduction="sum"))
                sums["unigram"] -= float(unigram[targets.cpu()].sum())
                sums["right"] += int((masked.argmax(-1) == targets).sum())
                sums["tokens"] += len(targets)
                sums["pairs"] += len(is_random)
                if next_sentence is not None:
                    sums["next"] += int((next_sentence.argmax(-1) == is_random).sum())
        self.model.train()
        return self._figures(sums)

    def _figures(self, sums: dict[str, float]) -> dict[str, float]:
        tokens = max(sums["tokens"], 1)
        figures = {
            "loss": sums["loss"] / tokens,
            "perplexity": float(np.exp(sums["loss"] / tokens)),
            "unigram_perplexity": float(np.exp(sums["unigram"] / tokens)),
            "masked_accuracy": sums["right"] / tokens,
        }
        if self._settings.next_sentence:
            figures["next_sentence_accuracy"] = sums["next"] / max(sums["pairs"], 1)
        return figures

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer."""
        text.save(self.model, folder)
        save_tokenizer(self._tokenizer, folder, self.model.config.max_position_embeddings)

    def _forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        output = self.model.bert(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            token_type_ids=batch["token_type_ids"],
        )
        rows, columns = batch["rows"], batch["columns"]
        masked = self.model.cls.predictions(output.last_hidden_state[rows, columns])
        next_sentence = None
        if self._settings.next_sentence:
            next_sentence = self.model.cls.seq_relationship(output.pooler_output)
        return masked, batch["targets"], next_sentence, batch["is_random"]

    def _examples(
        self, documents: Documents, indices: np.ndarray, generator: np.random.Generator
    ) -> dict[str, Tensor]:
        import torch

        pairs = [self._pair(documents, int(index), generator) for index in indices]
        sequences = [
            [self._start, *first, self._separator, *second, self._separator]
            for first, second, _ in pairs
        ]
        batch = text.pad(sequences, self._padding)
        ids = batch["input_ids"].numpy()
        segments = np.zeros_like(ids)
        for row, (first, second, _) in enumerate(pairs):
            segments[row, len(first) + 2 : len(first) + len(second) + 3] = 1
        rows, columns, targets = self._hide(ids, generator)
        numpy_batch = {
            "rows": rows,
            "columns": columns,
            "targets": targets,
            "token_type_ids": segments,
        }
        is_random = np.array([random for _, _, random in pairs], dtype=np.int64)
        arrays = {**numpy_batch, "is_random": is_random}
        return {**batch, **{name: torch.from_numpy(value) for name, value in arrays.items()}}

    def _pair(
        self, documents: Documents, index: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, int]:
        room = self._settings.tokens - 3
        first, second = documents.two_segments(index, room, generator)
        if not self._settings.next_sentence or generator.random() < 0.5:
            return first, second, 0
        other = int(generator.integers(len(documents)))
        stranger = documents.two_segments(other, room, generator)[1]
        return first, stranger[: room - len(first)], 1

    def _hide(
        self, ids: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hide tokens of ``ids`` in place; return where, and what was there."""
        ordinary = ids >= len(SPECIAL_TOKENS)
        chosen = ordinary & (generator.random(ids.shape) < self._settings.probability)
        if not chosen.any():
            chosen[0, 1] = True
        targets = ids[chosen]
        fate = generator.random(len(targets))
        replacement = generator.integers(
            len(SPECIAL_TOKENS), self._tokenizer.get_vocab_size(), len(targets)
        )
        ids[chosen] = np.where(fate < 0.8, self._mask, np.where(fate < 0.9, replacement, targets))
        rows, columns = np.nonzero(chosen)
        return rows, columns, targets


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
) -> Masked:
    """Train the tokenizer, tokenise both splits and build the model.

    Raises:
        BadInput: the corpus holds images, or the model has fewer positions than an example.
    """
    if records.modality_of(records.read_schema(train)) != "text":
        raise BadInput(f"{train} holds images; the objective 'masked' needs text: choose another")
    positions = architecture_settings.positions
    if settings.tokens > positions:
        raise BadInput(
            f"masked.tokens is {settings.tokens}, but the model has {positions} positions: "
            "lower masked.tokens or raise positions"
        )
    tokenizer = train_tokenizer(partial(read_texts, train), settings.vocabulary_size)
    traits = TextTraits(tokenizer.get_vocab_size(), token_id(PADDING))
    model = architecture.build(architecture_settings, traits)
    return Masked(
        model,
        tokenizer,
        read_documents(train, tokenizer),
        read_documents(validation, tokenizer),
        settings,
    )
