"""The texts of a corpus end to end, as one stream of tokens.

Dimensions: N windows, T tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from tasks.inputs.documents import Documents


class Stream:
    """Texts end to end, with separators; nothing of it is held but what is asked for."""

    def __init__(self, documents: Documents, separator: int) -> None:
        self._documents = documents
        self._separator = separator
        self._separators = documents.text_starts + np.arange(len(documents.text_starts))

    def __len__(self) -> int:
        """Return the number of tokens, separators included."""
        return int(self._separators[-1]) + 1

    def tokens(self, places: Int[np.ndarray, "N T"]) -> Int[np.ndarray, "N T"]:
        """Return the tokens at some places of the stream, int64."""
        text = np.searchsorted(self._separators, places, side="right") - 1
        is_text = self._separators[text] != places
        found = np.full(places.shape, self._separator, dtype=np.int64)
        found[is_text] = self._documents.tokens[(places - text - 1)[is_text]]
        return found

    def unigram_log_probabilities(self, vocabulary_size: int) -> Float[np.ndarray, " V"]:
        """Return the log of each token's share of the targets, add-one smoothed; float64."""
        documents = self._documents
        logs = documents.unigram_log_probabilities(vocabulary_size)
        counts = np.exp(logs) * (len(documents.tokens) + vocabulary_size)
        counts[self._separator] += len(documents)
        smoothed: np.ndarray = np.log(counts / counts.sum())
        return smoothed
