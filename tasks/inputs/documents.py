"""Tokenised texts in flat arrays, with where each text and each of its sentences begins.

A corpus is tokenised once a tokenizer, in constant memory, and then lies on the disk
(``_token_cache``): what a training reads of it is what it holds of it in memory.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts import files, records
from tasks.errors import BadInput
from tasks.inputs import token_cache as cache
from tasks.inputs import tokenizer as tokenizers
from tasks.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Encoding, Tokenizer

    from tasks.contracts.settings import Settings

TOKENS, TEXT_STARTS, SENTENCE_STARTS = "tokens.npy", "text_starts.npy", "sentence_starts.npy"
# Texts are tokenised in pieces of this size: enough for all cores, and little to hold: pieces four
# times as large cost a tenth more of the processor's time.
PIECE_CHARACTERS = 500_000
TOKENS_PER_COUNT = 1 << 22

# After these a sentence ends: Latin, Devanagari, Arabic and CJK marks; CJK needs no space after.
# One set stands first, since ``re`` looks for that several times faster than for alternatives.
_SENTENCE_END = re.compile(
    r"[.!?।؟。！？；\n](?:(?<=[.!?।؟])\s+|(?<=[。！？；])|(?<=\n)\n*)"  # noqa: RUF001
)


@dataclass(frozen=True)
class Documents:
    """Token ids of texts, one after the other; the arrays may lie on the disk, read-only."""

    tokens: np.ndarray
    """Token ids of all texts; uint16 where the vocabulary fits, else int32: widen to compute."""
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
        counts = np.ones(vocabulary_size)
        for start in range(0, len(self.tokens), TOKENS_PER_COUNT):
            some = self.tokens[start : start + TOKENS_PER_COUNT]
            counts += np.bincount(some, minlength=vocabulary_size)
        logs: np.ndarray = np.log(counts / counts.sum())
        return logs


def split_sentences(text: str) -> list[str]:
    """Cut a text into its sentences, in any script; at least one, none empty."""
    sentences = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        mark = end.start()
        sentences.append(text[start : mark if text[mark] == "\n" else mark + 1])
        start = end.end()
    sentences.append(text[start:])
    return [sentence for sentence in sentences if sentence.strip()] or [text]


def corpus_tokenizer(train: Path, settings: Settings, objective: str) -> Tokenizer:
    """Return the WordPiece tokenizer of a training split, trained once a split and size.

    Args:
        train: the training split.
        settings: the objective's, with ``vocabulary_size``. A size that ``params.yaml`` asks for
            has to come out; of the default's, a small corpus gives what it supports.
        objective: the section of ``params.yaml`` that the settings stand in.

    Raises:
        BadInput: the corpus does not support the vocabulary that is asked for.
    """
    wanted: int = settings.vocabulary_size  # type: ignore[attr-defined]
    key = cache.key_of(
        "tokenizer", files.sha256(train), str(wanted), _made_by(Path(tokenizers.__file__))
    )
    folder = cache.cached(key, partial(_train_tokenizer, train, wanted))
    tokenizer = tokenizers.load_tokenizer(folder)
    supported = tokenizer.get_vocab_size()
    if supported < wanted and "vocabulary_size" in settings.model_fields_set:
        raise BadInput(
            f"{objective}.vocabulary_size is {wanted}, but {train} supports {supported:,}: lower it"
        )
    return tokenizer


def _train_tokenizer(train: Path, vocabulary_size: int, folder: Path) -> None:
    tokenizer = tokenizers.train_tokenizer(partial(read_texts, train), vocabulary_size)
    files.write_text(folder / tokenizers.TOKENIZER, tokenizer.to_str())


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a split in constant memory."""
    for batch in records.read_batches(path):
        yield from batch["text"].to_pylist()


def read_documents(path: Path, tokenizer: Tokenizer) -> Documents:
    """Tokenise every text of a split, without special tokens, unless that has been done before."""
    made_by = _made_by(Path(__file__))
    key = cache.key_of("documents", files.sha256(path), tokenizer.to_str(), made_by)
    folder = cache.cached(key, partial(write_documents, path, tokenizer))
    arrays = [cache.mapped(folder / name) for name in (TOKENS, TEXT_STARTS, SENTENCE_STARTS)]
    return Documents(*arrays)


def write_documents(path: Path, tokenizer: Tokenizer, folder: Path) -> None:
    """Tokenise a split into arrays on the disk, in constant memory.

    The next piece is tokenised, on all cores, while the last one is written.
    """
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.int32
    with (
        cache.array_writer(folder / TOKENS, dtype) as tokens,
        cache.array_writer(folder / TEXT_STARTS, np.int64) as text_starts,
        cache.array_writer(folder / SENTENCE_STARTS, np.int64) as sentence_starts,
        progress(f"texts of {path} tokenised") as reporter,
    ):
        start = 0
        text_starts.add(np.zeros(1))
        for encodings, sentences_of_text in _encoded(path, tokenizer):
            lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
            ends = start + np.cumsum(lengths)
            ids = chain.from_iterable(encoding.ids for encoding in encodings)
            tokens.add(np.fromiter(ids, dtype, int(lengths.sum())))
            text_starts.add(ends[np.cumsum(sentences_of_text) - 1])
            sentence_starts.add(ends - lengths)
            start = int(ends[-1])
            reporter.advance(len(sentences_of_text))


def _encoded(path: Path, tokenizer: Tokenizer) -> Iterator[tuple[list[Encoding], list[int]]]:
    """Yield the encoded sentences of some texts, and how many each text has."""
    encode = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    with ThreadPoolExecutor(1, "tokens") as encoder:
        waiting = None
        for texts in _pieces(path):
            sentences = [split_sentences(text) for text in texts]
            flat = list(chain.from_iterable(sentences))
            following = encoder.submit(encode, flat), [len(text) for text in sentences]
            if waiting is not None:
                yield waiting[0].result(), waiting[1]
            waiting = following
        if waiting is not None:
            yield waiting[0].result(), waiting[1]


def _pieces(path: Path) -> Iterator[list[str]]:
    """Yield texts in pieces of like size."""
    piece: list[str] = []
    num_characters = 0
    for text in read_texts(path):
        piece.append(text)
        num_characters += len(text)
        if num_characters >= PIECE_CHARACTERS:
            yield piece
            piece, num_characters = [], 0
    if piece:
        yield piece


def _made_by(source: Path) -> str:
    """Return what a cached result follows from beside its input: the code and the library."""
    from tokenizers import __version__

    return f"{files.sha256(source)} {__version__}"
