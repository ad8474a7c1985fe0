"""Masked texts: what objectives that hide tokens of texts have in common.

An example is a window of one text, cut into two segments, of which the second may be taken from
another text (``tasks.inputs.pairs``). Of the chosen tokens 80 % are masked, 10 % replaced by a
random token, 10 % left as they are.

Dimensions: N examples, T tokens, M chosen tokens of a batch.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.inputs.pairs import SegmentPairs
from tasks.inputs.tokenizer import (
    MASK,
    PADDING,
    SEPARATOR,
    START,
    id_in,
    ordinary_ids,
    save_tokenizer,
)
from tasks.models import text
from tasks.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jaxtyping import Float
    from tokenizers import Tokenizer
    from torch import Tensor

    from tasks.inputs.documents import Documents
    from tasks.training.task import Batch


class TokenSettings(contract.Settings):
    """Which tokens a text has, and what their embeddings start from."""

    tokenizer: Literal["cased"] | None = Field(
        None,
        description="cased: WordPiece that keeps case and accents, as names and parts of speech "
        "are told by; null: one that drops both",
        json_schema_extra=contract.NEUTRAL,
    )
    embeddings: Literal["cooccurrence"] | None = Field(
        None,
        description="what the tokens' embeddings start from; without it, random numbers",
        json_schema_extra=contract.NEUTRAL,
    )

    def modules(self) -> list[str]:
        """Return what makes the embeddings."""
        return [] if self.embeddings is None else ["tasks.objectives.cooccurrence"]

    def start_embeddings(self, model: Any, train: Documents, objective: str) -> None:
        """Let a new model's embeddings start from what is asked for.

        Args:
            model: one of transformers'.
            train: the training texts.
            objective: its key in ``params.yaml``.

        Raises:
            BadInput: the vocabulary is too small for it.
        """
        if self.embeddings == "cooccurrence":
            from tasks.objectives.cooccurrence import start_embeddings

            start_embeddings(model.get_input_embeddings(), train, f"{objective}.embeddings")


class Windows(NamedTuple):
    """How much of a text an example is, and how much of that is hidden."""

    tokens: int
    """The longest example, special tokens included."""
    probability: float
    """The share of tokens that are chosen."""


class MaskedTexts(Task):
    """A task on texts of which tokens are hidden."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        train: Documents,
        validation: Documents,
        windows: Windows,
        longest: int,
    ) -> None:
        """Take the texts.

        Args:
            tokenizer: of both splits.
            train: the training texts.
            validation: the validation texts.
            windows: how long an example is.
            longest: the longest sequence that the model will know.
        """
        self.train_pairs, self.validation_pairs = SegmentPairs(train), SegmentPairs(validation)
        self._tokenizer = tokenizer
        self._windows = windows
        self._longest = longest
        self._start, self._separator, self._mask, self._padding = (
            id_in(tokenizer, token) for token in (START, SEPARATOR, MASK, PADDING)
        )
        self._ordinary = np.array(ordinary_ids(tokenizer))
        self._is_ordinary = np.zeros(tokenizer.get_vocab_size(), dtype=bool)
        self._is_ordinary[self._ordinary] = True

    @cached_property
    def lengths(self) -> np.ndarray:  # type: ignore[override]
        """Tokens of each example, special ones included; every step asks for some."""
        return np.minimum(self.train_pairs.documents.lengths + 3, self._windows.tokens)

    def unigram(self) -> Float[Tensor, " V"]:
        """Return the logarithm of each token's share of the training texts."""
        import torch

        size = self._tokenizer.get_vocab_size()
        return torch.from_numpy(self.train_pairs.documents.unigram_log_probabilities(size))

    def save_with_tokenizer(self, model: Any, folder: Path) -> None:
        """Write a model and its tokenizer."""
        text.save(model, folder)
        save_tokenizer(self._tokenizer, folder, self._longest)

    def examples(
        self,
        segment_pairs: SegmentPairs,
        indices: np.ndarray,
        generators: Sequence[np.random.Generator],
        *,
        strangers: bool,
    ) -> Batch:
        """Return the tensors of some texts, with their chosen tokens hidden.

        Args:
            segment_pairs: of these texts.
            indices: which of them.
            generators: one for each.
            strangers: whether second segments of other texts shall be among them.
        """
        import torch

        room = self._windows.tokens - 3
        pairs = [
            segment_pairs.pair(int(index), room, generator, strangers=strangers)
            for index, generator in zip(indices, generators, strict=True)
        ]
        longest = max(len(first) + len(second) + 3 for first, second, _ in pairs)
        ids = np.full((len(pairs), longest), self._padding, dtype=np.int64)
        attended, segments = np.zeros_like(ids), np.zeros_like(ids)
        chosen = np.zeros(ids.shape, dtype=bool)
        targets = []
        for row, (first, second, _) in enumerate(pairs):
            middle, end = len(first) + 2, len(first) + len(second) + 3
            ids[row, 0], ids[row, [middle - 1, end - 1]] = self._start, self._separator
            ids[row, 1 : middle - 1], ids[row, middle : end - 1] = first, second
            attended[row, :end] = 1
            segments[row, middle:end] = 1
            targets.append(self._hide(ids[row, :end], chosen[row, :end], generators[row]))
        arrays = {
            "input_ids": ids,
            **({} if attended.all() else {"attention_mask": attended}),
            "token_type_ids": segments,
            "positions": np.flatnonzero(chosen),
            "targets": np.concatenate(targets),
            "is_random": np.array([random for _, _, random in pairs], dtype=np.int64),
        }
        batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
        return {**batch, "counts": torch.tensor([len(batch["targets"]), len(pairs)]).float()}

    def _hide(
        self, ids: np.ndarray, chosen: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Hide tokens of one example in place, note where in ``chosen``; return what they were.

        At least one is chosen of every example.
        """
        ordinary = np.flatnonzero(self._is_ordinary[ids])
        picked = ordinary[generator.random(len(ordinary)) < self._windows.probability]
        if not len(picked):
            picked = ordinary[:1] if len(ordinary) else np.ones(1, dtype=np.int64)
        chosen[picked] = True
        targets = ids[picked]
        fate = generator.random(len(targets))
        replacement = self._ordinary[generator.integers(len(self._ordinary), size=len(targets))]
        ids[picked] = np.where(fate < 0.8, self._mask, np.where(fate < 0.9, replacement, targets))
        return targets
