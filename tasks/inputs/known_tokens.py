"""Tokens of texts that an earlier state of a corpus had, so that those of new texts alone are made.

A text's tokens follow from it and the tokenizer. Where that is frozen (``init.only``, or a backbone
that is finetuned), what was tokenised before lies in the cache, in folders of the same family: of
one tokenizer, one unit and one code. Each has a digest a text, by which it is found there.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts import files
from tasks.inputs import token_cache as cache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOKENS, TEXT_STARTS, SENTENCE_STARTS = "tokens.npy", "text_starts.npy", "sentence_starts.npy"
DIGESTS = "digests.npy"
"""Of each text, two numbers."""
SENTENCES = "sentences.npy"
"""How many each text has, some of them without a token perhaps."""
FAMILY = "family.json"
MOST_FOLDERS = 4
"""The latest that are looked into: train, validation and test of before, and one more."""


def digests_of(texts: Sequence[str]) -> np.ndarray:
    """Return 128 bits of each text, N 2, by which it is known."""
    hashed = (
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for text in texts
    )
    return np.frombuffer(b"".join(hashed), dtype=np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Piece:
    """Tokens of some texts."""

    ids: np.ndarray
    lengths: np.ndarray
    """Tokens of each sentence."""
    sentences: np.ndarray
    """Sentences of each text."""

    def texts_lengths(self) -> np.ndarray:
        """Return how many tokens each text has."""
        ends = np.concatenate(([0], np.cumsum(self.lengths)))[
            np.concatenate(([0], np.cumsum(self.sentences)))
        ]
        return np.diff(ends)


class _Folder:
    """What one folder of the cache has."""

    def __init__(self, folder: Path) -> None:
        names = (TOKENS, TEXT_STARTS, SENTENCE_STARTS, SENTENCES)
        self._tokens, self._starts, self._sentence_starts, self._sentences = (
            cache.mapped(folder / name) for name in names
        )
        self._first_sentences = np.cumsum(self._sentences, dtype=np.int64) - self._sentences
        digests = cache.mapped(folder / DIGESTS).reshape(-1, 2)
        self._order = np.argsort(digests[:, 0], kind="stable")
        self._digests = digests[self._order]

    def places_of(self, digests: np.ndarray) -> np.ndarray:
        """Return where each text stands, -1 where it does not."""
        if not len(self._digests):
            return np.full(len(digests), -1)
        at = np.searchsorted(self._digests[:, 0], digests[:, 0])
        at = np.minimum(at, len(self._digests) - 1)
        return np.where((self._digests[at] == digests).all(axis=1), self._order[at], -1)

    def piece(self, places: np.ndarray) -> Piece:
        """Return the tokens of the texts at some places."""
        starts = self._starts[places]
        ids = self._tokens[_runs(starts, self._starts[places + 1] - starts)]
        sentences = self._sentences[places].astype(np.int64)
        number = _runs(self._first_sentences[places], sentences)
        # A sentence ends where the next one begins, be it of the next text.
        is_last = number + 1 == len(self._sentence_starts)
        following = self._sentence_starts[np.where(is_last, 0, number + 1)]
        ends = np.where(is_last, len(self._tokens), following)
        return Piece(ids, ends - self._sentence_starts[number], sentences)


class Known:
    """What earlier folders have."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open folders of one family.

        Args:
            folders: those that are whole, the latest first.
        """
        self._folders = [_Folder(folder) for folder in folders]

    def places_of(self, digests: np.ndarray) -> list[np.ndarray]:
        """Return by folder where each text stands, -1 where it does not or another one has it."""
        is_open = np.ones(len(digests), dtype=bool)
        found = []
        for folder in self._folders:
            places = np.where(is_open, folder.places_of(digests), -1)
            is_open &= places < 0
            found.append(places)
        return found

    def joined(self, places: list[np.ndarray], new: Piece) -> Piece:
        """Return the tokens of some texts, in their order.

        Args:
            places: from ``places_of``.
            new: those of the texts that no folder has, in their order.
        """
        is_new = np.all([found < 0 for found in places], axis=0)
        pieces = [(is_new, new)]
        pieces += [
            (found >= 0, folder.piece(found[found >= 0]))
            for folder, found in zip(self._folders, places, strict=True)
        ]
        num_tokens, num_sentences = np.zeros((2, len(is_new)), dtype=np.int64)
        for which, piece in pieces:
            num_tokens[which], num_sentences[which] = piece.texts_lengths(), piece.sentences
        ids = np.empty(int(num_tokens.sum()), dtype=new.ids.dtype)
        lengths = np.empty(int(num_sentences.sum()), dtype=np.int64)
        for which, piece in pieces:
            for target, counts, values in (
                (ids, num_tokens, piece.ids),
                (lengths, num_sentences, piece.lengths),
            ):
                starts = np.cumsum(counts) - counts
                target[_runs(starts[which], counts[which])] = values
        return Piece(ids, lengths, num_sentences)


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places of several runs, one after another."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def known(family: str) -> Known | None:
    """Return what the latest folders of a family have; nothing where there is none.

    Args:
        family: the key of tokenizer, unit and code.
    """
    with suppress(OSError):
        found = [
            path.parent for path in cache.FOLDER.glob(f"[!.]*/{FAMILY}") if _is_of(path, family)
        ]
        found.sort(key=cache.last_use, reverse=True)
        whole = [folder for folder in found[:MOST_FOLDERS] if cache.is_whole(folder)]
        return Known(whole) if whole else None
    return None


def _is_of(path: Path, family: str) -> bool:
    try:
        return bool(files.read_json(path) == family)
    except (OSError, ValueError):
        return False
