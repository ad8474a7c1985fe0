"""Texts become token ids in flat arrays: those of a split on the disk, a few texts in memory.

Both go the same way::

    texts -> pieces of like size -> encoded, on all cores -> ids end to end, and where each begins

A split is tokenised once a tokenizer, in constant memory (``token_cache``): what a training or an
evaluation reads of it is what it holds of it in memory.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts import files, records
from tasks.errors import BadInput
from tasks.inputs import known_tokens
from tasks.inputs import token_cache as cache
from tasks.inputs import tokenizer as tokenizers
from tasks.inputs.documents import Documents, TokenInputs
from tasks.inputs.known_tokens import SENTENCE_STARTS, TEXT_STARTS, TOKENS
from tasks.progress import progress, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenizers import Encoding, Tokenizer

    from tasks.contracts.settings import Settings

COUNTS = "counts.npy"
# Texts are tokenised in pieces of this size: enough for all cores, and little to hold: pieces four
# times as large cost a tenth more of the processor's time.
PIECE_CHARACTERS = 500_000
CODE = tuple(Path(str(module.__file__)) for module in (records, cache, known_tokens, tokenizers))
"""The modules, beside this one, that decide which tokens a split has: part of the cache's key."""

# After these a sentence ends: Latin, Devanagari, Arabic and CJK marks; CJK needs no space after.
# One set stands first, since ``re`` looks for that several times faster than for alternatives.
_SENTENCE_END = re.compile(
    r"[.!?।؟。！？；\n](?:(?<=[.!?।؟])\s+|(?<=[。！？；])|(?<=\n)\n*)"  # noqa: RUF001
)


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


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a split in constant memory."""
    for batch in records.read_batches(path):
        yield from batch["text"].to_pylist()


def corpus_tokenizer(train: Path, settings: Settings, objective: str) -> Tokenizer:
    """Return the WordPiece tokenizer of a training split, trained once a split and size.

    Args:
        train: the training split.
        settings: the objective's, with ``vocabulary_size``, and ``tokenizer`` if it may be
            ``cased``. A size that ``params.yaml`` asks for has to come out; of the default's, a
            small corpus gives what it supports.
        objective: the section of ``params.yaml`` that the settings stand in.

    Raises:
        BadInput: the corpus does not support the vocabulary that is asked for.
    """
    wanted: int = settings.vocabulary_size  # type: ignore[attr-defined]
    cased = getattr(settings, "tokenizer", None) == "cased"

    def train_into(folder: Path) -> None:
        tokenizer = tokenizers.train_tokenizer(partial(read_texts, train), wanted, cased=cased)
        files.write_text(folder / tokenizers.TOKENIZER, tokenizer.to_str())

    kind = "cased tokenizer" if cased else "tokenizer"
    key = cache.key_of(kind, cache.known_sha256(train), str(wanted), _code_and_library())
    tokenizer = tokenizers.load_tokenizer(cache.cached(key, train_into))
    supported = tokenizer.get_vocab_size()
    if supported < wanted and "vocabulary_size" in settings.model_fields_set:
        raise BadInput(
            f"{objective}.vocabulary_size is {wanted}, but {train} supports {supported:,}: lower it"
        )
    return tokenizer


def read_documents(path: Path, tokenizer: Tokenizer) -> Documents:
    """Return a split's texts sentence by sentence, without special tokens, for pretraining."""
    return _read([path], tokenizer, by_sentence=True)


def read_whole_documents(path: Path, tokenizer: Tokenizer) -> Documents:
    """Return a split's texts, each with all that stands between its sentences."""
    return _read([path], tokenizer, by_sentence=False)


def read_token_inputs(paths: Sequence[Path], tokenizer: Tokenizer) -> TokenInputs:
    """Return the whole texts of some splits, one split after the other, as a classifier's inputs.

    Args:
        paths: the splits.
        tokenizer: adds its special tokens, and cuts texts where it is told to.
    """
    documents = _read(paths, tokenizer, by_sentence=False)
    return TokenInputs(documents.tokens, documents.text_starts, _padding(tokenizer))


def tokenise(texts: Sequence[str], tokenizer: Tokenizer) -> TokenInputs:
    """Return a few texts as a classifier's inputs, in memory."""
    tokens, lengths = [np.zeros(0, _dtype(tokenizer))], [np.zeros(1, np.int64)]
    for piece in _pieces(texts):
        encodings = _encode(piece, tokenizer, by_sentence=False)
        ids, num_ids = _flat(encodings, tokenizer, by_sentence=False)
        tokens.append(ids)
        lengths.append(num_ids)
    starts = np.concatenate(lengths).cumsum()
    return TokenInputs(np.concatenate(tokens), starts, _padding(tokenizer))


def _read(paths: Sequence[Path], tokenizer: Tokenizer, *, by_sentence: bool) -> Documents:
    """Return some splits' tokens from the cache, which is filled unless that has been done."""
    splits = [cache.known_sha256(path) for path in paths]
    unit = "sentences" if by_sentence else "texts"
    key = cache.key_of(unit, *splits, tokenizer.to_str(), _code_and_library())
    family = cache.key_of("family", unit, tokenizer.to_str(), _code_and_library())

    def write(folder: Path) -> None:
        write_tokens(paths, tokenizer, folder, by_sentence=by_sentence, family=family)

    folder = cache.cached(key, write)
    names = (TOKENS, TEXT_STARTS, SENTENCE_STARTS, COUNTS)
    return Documents(*(cache.mapped(folder / name) for name in names))


def write_tokens(
    paths: Sequence[Path],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    by_sentence: bool,
    family: str | None = None,
) -> None:
    """Tokenise splits into arrays on the disk, in constant memory.

    What was tokenised before, of an earlier state of the corpus, is taken from there. The next
    piece is tokenised, on all cores, while the last one is written.

    Args:
        paths: the splits; their texts follow each other.
        tokenizer: what it is told about truncation holds.
        folder: gets ``tokens``, ``text_starts``, ``sentence_starts`` and ``counts``, as in
            ``Documents``.
        by_sentence: encode each sentence by itself, without special tokens; else each text as a
            whole, with them.
        family: the key of all folders of the cache that such texts may have been written into.
    """
    known = known_tokens.known(family) if family else None
    texts = chain.from_iterable(map(read_texts, paths))
    with (
        closing(cache.ArrayWriter(folder / TOKENS, _dtype(tokenizer))) as tokens,
        closing(cache.ArrayWriter(folder / TEXT_STARTS, np.int64)) as text_starts,
        closing(cache.ArrayWriter(folder / SENTENCE_STARTS, np.int64)) as sentence_starts,
        closing(cache.ArrayWriter(folder / known_tokens.DIGESTS, np.uint64)) as digests,
        closing(cache.ArrayWriter(folder / known_tokens.SENTENCES, np.int32)) as sentences,
        progress(f"texts of {' and '.join(map(str, paths))} tokenised") as reporter,
    ):
        start = num_texts = num_new = 0
        counts = np.zeros(1 + max(tokenizer.get_vocab().values(), default=0), np.int64)
        text_starts.add(np.zeros(1))
        for begun in _encoded_ahead(texts, tokenizer, by_sentence, known):
            ids, lengths = _flat(begun.encoding.result(), tokenizer, by_sentence=by_sentence)
            num_new += len(begun.sentences)
            piece = known_tokens.Piece(ids, lengths, np.array(begun.sentences, dtype=np.int64))
            if known is not None:
                piece = known.joined(begun.places, piece)
            ends = start + np.cumsum(piece.lengths)
            tokens.add(piece.ids)
            counts += np.bincount(piece.ids, minlength=len(counts))
            text_starts.add(ends[np.cumsum(piece.sentences) - 1])
            sentence_starts.add(ends - piece.lengths)
            digests.add(begun.digests.ravel())
            sentences.add(piece.sentences)
            start = int(ends[-1])
            num_texts += len(piece.sentences)
            reporter.advance(len(piece.sentences))
    if known is not None:
        names = " and ".join(map(str, paths))
        say(f"{names}: {num_new:,} of {num_texts:,} texts tokenised, the others are known")
    if family:
        files.write_json(folder / known_tokens.FAMILY, family)
    with closing(cache.ArrayWriter(folder / COUNTS, np.int64)) as writer:
        writer.add(counts)


@dataclass(frozen=True)
class _Begun:
    """A piece of texts of which the new ones are being tokenised."""

    digests: np.ndarray
    places: list[np.ndarray]
    """Where the others are known."""
    encoding: Future[list[Encoding]]
    sentences: list[int]
    """How many each new text has."""


def _encoded_ahead(
    texts: Iterable[str],
    tokenizer: Tokenizer,
    by_sentence: bool,
    known: known_tokens.Known | None,
) -> Iterator[_Begun]:
    """Yield texts piece by piece, each tokenised while the piece before it is used.

    Args:
        texts: of some splits.
        tokenizer: makes their tokens.
        by_sentence: encode each sentence by itself.
        known: the tokens of texts that need not be made.
    """
    with ThreadPoolExecutor(1, "tokens") as encoder:
        waiting = None
        for piece in _pieces(texts):
            digests = known_tokens.digests_of(piece)
            places = known.places_of(digests) if known is not None else []
            is_known = np.any([found >= 0 for found in places], axis=0) if places else None
            new = piece if is_known is None else list(compress(piece, ~is_known))
            parts = [split_sentences(text) if by_sentence else [text] for text in new]
            flat = list(chain.from_iterable(parts))
            encoding = encoder.submit(_encode, flat, tokenizer, by_sentence=by_sentence)
            following = _Begun(digests, places, encoding, list(map(len, parts)))
            if waiting is not None:
                yield waiting
            waiting = following
        if waiting is not None:
            yield waiting


def _pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts in pieces of like size."""
    piece: list[str] = []
    num_characters = 0
    for text in texts:
        piece.append(text)
        num_characters += len(text)
        if num_characters >= PIECE_CHARACTERS:
            yield piece
            piece, num_characters = [], 0
    if piece:
        yield piece


def _encode(parts: list[str], tokenizer: Tokenizer, *, by_sentence: bool) -> list[Encoding]:
    return tokenizer.encode_batch_fast(parts, add_special_tokens=not by_sentence)


def _flat(
    encodings: list[Encoding], tokenizer: Tokenizer, *, by_sentence: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return encodings' ids end to end, and how many each has.

    A whole text in which no token is found is one unknown token: a classifier has to see something.
    """
    if_empty = [] if by_sentence else [tokenizer.token_to_id(tokenizers.UNKNOWN) or 0]
    ids = [encoding.ids or if_empty for encoding in encodings]
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return np.fromiter(chain.from_iterable(ids), _dtype(tokenizer), int(lengths.sum())), lengths


def _dtype(tokenizer: Tokenizer) -> type[np.uint16] | type[np.int32]:
    return np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.int32


def _padding(tokenizer: Tokenizer) -> int:
    return tokenizer.token_to_id(tokenizers.PADDING) or 0


def _code_and_library() -> str:
    """Return what the cache's content follows from beside its input."""
    from tokenizers import __version__

    return " ".join([*map(files.sha256, (*CODE, Path(__file__))), __version__])
