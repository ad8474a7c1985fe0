"""Tokenised texts in flat arrays, with where each text and each of its sentences begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokenizers import Tokenizer

# After these a sentence ends: Latin, Devanagari, Arabic and CJK marks; CJK needs no space after.
_SENTENCE_END = re.compile(r"(?<=[.!?।؟])\s+|(?<=[。！？；])|\n+")  # noqa: RUF001


@dataclass(frozen=True)
class Documents:
    """Token ids of texts, one after the other."""

    tokens: np.ndarray
    """Token ids of all texts, int32."""
    text_starts: np.ndarray
    """Where each text begins in ``tokens``, and the end of the last one; int64."""
    sentence_starts: np.ndarray
    """Where each sentence begins in ``tokens``, ascending; int64."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.text_starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return np.diff(self.text_starts)

    def two_segments(
        self, index: int, room: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut a window of at most ``room`` tokens of one text into two neighbouring segments.

        The cut is where a sentence begins, or in the middle where none does.
        """
        start, end = int(self.text_starts[index]), int(self.text_starts[index + 1])
        if end - start > room:
            start += int(generator.integers(end - start - room + 1))
            end = start + room
        low, high = np.searchsorted(self.sentence_starts, (start + 1, end))
        if high > low:
            cut = int(self.sentence_starts[int(generator.integers(low, high))])
        else:
            cut = (start + end) // 2
        return self.tokens[start:cut], self.tokens[cut:end]

    def unigram_log_probabilities(self, vocabulary_size: int) -> np.ndarray:
        """Return the log of each token's share of these texts, add-one smoothed; float64."""
        counts = np.bincount(self.tokens, minlength=vocabulary_size) + 1.0
        logs: np.ndarray = np.log(counts / counts.sum())
        return logs


def split_sentences(text: str) -> list[str]:
    """Cut a text into its sentences, in any script; at least one, none empty."""
    return [part for part in _SENTENCE_END.split(text) if part.strip()] or [text]


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a split in constant memory."""
    for texts in _text_batches(path):
        yield from texts


def read_documents(path: Path, tokenizer: Tokenizer) -> Documents:
    """Tokenise every text of a split, without special tokens."""
    pieces: list[np.ndarray] = []
    text_lengths: list[int] = []
    sentence_lengths: list[int] = []
    for texts in _text_batches(path):
        sentences = [split_sentences(text) for text in texts]
        flat = [sentence for text in sentences for sentence in text]
        ids = [e.ids for e in tokenizer.encode_batch_fast(flat, add_special_tokens=False)]
        lengths = [len(i) for i in ids]
        ends = np.cumsum([0, *(len(text) for text in sentences)])
        cumulative = np.cumsum([0, *lengths])
        text_lengths += np.diff(cumulative[ends]).tolist()
        sentence_lengths += lengths
        pieces.append(np.fromiter((t for i in ids for t in i), dtype=np.int32))
    return Documents(
        tokens=np.concatenate(pieces) if pieces else np.zeros(0, np.int32),
        text_starts=np.cumsum([0, *text_lengths], dtype=np.int64),
        sentence_starts=np.cumsum([0, *sentence_lengths[:-1]], dtype=np.int64),
    )


def _text_batches(path: Path) -> Iterator[list[str]]:
    for batch in records.read_batches(path):
        yield batch["text"].to_pylist()
