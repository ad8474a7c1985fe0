"""Token ids of many texts in flat arrays, and how trainings read them.

``Documents`` holds them, ``Stream`` sets all texts end to end, ``TokenInputs`` makes padded batches
of whole texts; ``tasks.inputs.pairs`` cuts segments. The arrays may lie on the disk, read-only.

Dimensions: N windows or texts, T tokens (the longest of a batch), V tokens of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

TOKENS_PER_COUNT = 1 << 22


@dataclass(frozen=True)
class Documents:
    """Texts, one after the other, and their sentences."""

    tokens: np.ndarray
    """Token ids of all texts; uint16 where the vocabulary fits, else int32: widen to compute."""
    text_starts: np.ndarray
    """Where each text begins in ``tokens``, and the end of the last one; int64."""
    sentence_starts: np.ndarray
    """Where each sentence begins in ``tokens``, ascending; int64."""
    counts: np.ndarray | None = None
    """How often each token stands in ``tokens``, where that has been counted; int64."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.text_starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return np.diff(self.text_starts)

    def unigram_log_probabilities(self, vocabulary_size: int) -> Float[np.ndarray, " V"]:
        """Return the log of each token's share of these texts, add-one smoothed; float64."""
        counts = 1 + self.token_counts(vocabulary_size)
        logs: np.ndarray = np.log(counts / counts.sum())
        return logs

    def token_counts(self, vocabulary_size: int) -> Float[np.ndarray, " V"]:
        """Return how often each token stands in these texts; float64."""
        counts = np.zeros(vocabulary_size)
        if self.counts is not None:
            counts[: len(self.counts)] = self.counts[:vocabulary_size]
            return counts
        for start in range(0, len(self.tokens), TOKENS_PER_COUNT):
            some = self.tokens[start : start + TOKENS_PER_COUNT]
            counts += np.bincount(some, minlength=vocabulary_size)
        return counts


class Stream:
    """Texts end to end, with separators; nothing of it is held but what is asked for."""

    def __init__(self, documents: Documents, separator: int) -> None:
        self._documents = documents
        self._separator = separator
        self._separators = documents.text_starts + np.arange(len(documents.text_starts))

    def __len__(self) -> int:
        """Return the number of tokens, separators included."""
        return int(self._separators[-1]) + 1

    def tokens(self, positions: Int[np.ndarray, "N T"]) -> Int[np.ndarray, "N T"]:
        """Return the tokens at some positions of the stream, int64."""
        text = np.searchsorted(self._separators, positions, side="right") - 1
        is_text = self._separators[text] != positions
        tokens = np.full(positions.shape, self._separator, dtype=np.int64)
        tokens[is_text] = self._documents.tokens[(positions - text - 1)[is_text]]
        return tokens

    def unigram_log_probabilities(self, vocabulary_size: int) -> Float[np.ndarray, " V"]:
        """Return the log of each token's share of the targets, add-one smoothed; float64."""
        documents = self._documents
        logs = documents.unigram_log_probabilities(vocabulary_size)
        counts = np.exp(logs) * (len(documents.tokens) + vocabulary_size)
        counts[self._separator] += len(documents)
        smoothed: np.ndarray = np.log(counts / counts.sum())
        return smoothed


@dataclass(frozen=True)
class TokenInputs:
    """Whole texts as a classifier reads them, special tokens included."""

    tokens: np.ndarray
    """Token ids of all texts, one text after the other; uint16 or int32."""
    starts: np.ndarray
    """Where each text begins in ``tokens``, and the end of the last one; int64."""
    padding_token: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a text."""
        return np.diff(self.starts)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return ``input_ids``, N T, padded to the longest, and ``attention_mask`` where it is.

        Without padding there is no mask: attention is then the same without it, and faster.
        """
        import torch

        indices = np.asarray(indices)
        starts = self.starts[indices]
        lengths = self.starts[indices + 1] - starts
        positions = np.arange(int(lengths.max()))
        attended = positions < lengths[:, None]
        ids = np.full(attended.shape, self.padding_token, dtype=np.int64)
        ids[attended] = self.tokens[(starts[:, None] + positions)[attended]]
        batch = {"input_ids": torch.from_numpy(ids)}
        if not attended.all():
            batch["attention_mask"] = torch.from_numpy(attended.astype(np.int64))
        return batch
