"""The sets of shingles of some texts, on the disk, and how many shingles two of them share.

In memory is a sketch of each set, by which most pairs that are not similar are told; the shingles
themselves are read of the pairs that are left.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from tasks.duplicates.columns import ITEMS_AT_ONCE, Column
from tasks.duplicates.shingles import blocks, shingles
from tasks.machine import memory

_SKETCH_BITS = 512
SKETCH_BYTES = 2**27
"""Sketches of more texts have half as many bits each, and tell fewer pairs."""
FOLD_EVERY = 100
"""Blocks of texts between two looks at how large the sketches are."""
_MOST_BUCKETS = 2**25
_HASH_BITS = np.uint64(1)  # shingles are kept as 63 bits, which are never negative


class Sets:
    """The sets of shingles of some texts, by their numbers."""

    def __init__(self, batches: Iterable[Sequence[str]], words: int) -> None:
        """Cut texts into shingles.

        Args:
            batches: the texts.
            words: how many words a shingle has.
        """
        self._shingles = Column(np.int64)
        sizes = [np.zeros(0, np.int64)]
        sketches: list[np.ndarray] = []
        bits = _SKETCH_BITS
        for texts in batches:
            for block in blocks(texts):
                found, num_found = _distinct(*shingles(texts[block], words))
                self._shingles.add(found)
                sizes.append(num_found)
                sketches.append(_sketched(found, num_found, bits))
                is_time = bits > 64 and len(sizes) % FOLD_EVERY == 0
                if is_time and sum(sketch.nbytes for sketch in sketches) > memory.share(
                    SKETCH_BYTES
                ):
                    bits //= 2
                    sketches = [_folded(sketch) for sketch in sketches]
        self._sizes = np.concatenate(sizes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._sketches = np.concatenate([np.zeros((0, bits // 64), np.uint64), *sketches])

    def rarest(
        self, which: np.ndarray, similarity: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield so many rarest shingles of some texts that similar ones have one in common.

        How rare a shingle is, is counted in as many buckets as memory has room for: any order of
        shingles would do, as long as it is the same one for all texts.

        Args:
            which: the texts.
            similarity: the share of shingles that makes two similar.

        Yields:
            A text and a shingle of it each, some at a time.
        """
        counts = self._counts()
        for some in _cut(which, self._sizes[which]):
            sizes, lengths = self._sizes[some], self._num_rarest(some, similarity)
            found = self._shingles.gather(self._starts[some], sizes)
            number = np.repeat(np.arange(len(some)), sizes)
            order = np.lexsort((found, counts[found & (len(counts) - 1)], number))
            place = np.arange(len(found)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            yield np.repeat(some, lengths), found[order][place < np.repeat(lengths, sizes)]

    def num_rarest(self, which: np.ndarray, similarity: float) -> int:
        """Return how many ``rarest`` yields of the same arguments."""
        return int(self._num_rarest(which, similarity).sum())

    def _num_rarest(self, which: np.ndarray, similarity: float) -> np.ndarray:
        sizes = self._sizes[which]
        # Similar sets share at least this part of either; the rest and one more must meet it.
        shared = np.ceil(similarity * sizes - 1e-6).astype(np.int64)
        return np.minimum(sizes - shared + 1, sizes)

    def _counts(self) -> np.ndarray:
        """Return how often shingles stand in the sets, by their last bits."""
        num_buckets = min(_MOST_BUCKETS, 1 << (4 * len(self._shingles)).bit_length())
        counts = np.zeros(num_buckets, dtype=np.uint32)
        for some in self._shingles.chunks():
            np.add.at(counts, some & (num_buckets - 1), np.uint32(1))
        return counts

    def similar(
        self, first: np.ndarray, second: np.ndarray, similarity: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return those of the pairs that have at least this similarity."""
        smaller = np.minimum(self._sizes[first], self._sizes[second])
        larger = np.maximum(self._sizes[first], self._sizes[second])
        possible = smaller / larger >= similarity
        first, second = first[possible], second[possible]
        # A shingle that one of two sets has and the other has not changes one bit of a sketch, so
        # sketches differ in no more bits than sets in shingles: none that is similar is lost.
        total = self._sizes[first] + self._sizes[second]
        unlike = np.bitwise_count(self._sketches[first] ^ self._sketches[second]).sum(axis=1)
        possible = unlike <= total * ((1 - similarity) / (1 + similarity)) + 1e-6
        first, second, total = first[possible], second[possible], total[possible]
        if not len(first):
            return first, second
        both = [
            self._num_shared(first[some], second[some])
            for some in _cut(np.arange(len(first)), total)
        ]
        shared = np.concatenate(both)
        # As a person rounds it: 55 of 100 are 0.55.
        is_similar = shared / (total - shared) >= similarity
        return first[is_similar], second[is_similar]

    def _num_shared(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        from scipy.sparse import csr_array

        texts, number = np.unique(np.concatenate((first, second)), return_inverse=True)
        sizes = self._sizes[texts]
        found = self._shingles.gather(self._starts[texts], sizes)
        bounds = np.concatenate(([0], np.cumsum(sizes)))
        sets = csr_array(
            (np.ones(len(found), dtype=np.int32), found, bounds), shape=(len(texts), 2**63 - 1)
        )
        sets.has_canonical_format = True  # of each text sorted, and each once
        both = sets[number[: len(first)]].multiply(sets[number[len(first) :]])
        return np.asarray(both.sum(axis=1))


def _distinct(hashes: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shingles of each text sorted and each once, and how many each text has."""
    found = (hashes >> _HASH_BITS).astype(np.int64)
    number = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    # One text after the other: to sort all of them by text and shingle takes ten times as long.
    for start, end in pairwise(offsets.tolist()):
        found[start:end].sort()
    is_new = np.ones(len(found), dtype=bool)
    is_new[1:] = (found[1:] != found[:-1]) | (number[1:] != number[:-1])
    return found[is_new], np.bincount(number[is_new], minlength=len(offsets) - 1)


def _sketched(found: np.ndarray, sizes: np.ndarray, bits: int) -> np.ndarray:
    """Return bits for each set: of each 512th shingle, say, whether the set has an odd number."""
    places = np.repeat(np.arange(len(sizes)) * bits, sizes) + found % bits
    odd = np.bincount(places, minlength=len(sizes) * bits) % 2 == 1
    return np.packbits(odd.reshape(-1, bits), axis=1).view(np.uint64)


def _folded(sketches: np.ndarray) -> np.ndarray:
    """Return sketches of half as many bits, as they would have been made with so many."""
    half = sketches.shape[1] // 2
    return sketches[:, :half] ^ sketches[:, half:]


def _cut(items: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Cut items where their sizes come to ``ITEMS_AT_ONCE``; a larger one is not cut."""
    part = np.cumsum(sizes) // memory.share(ITEMS_AT_ONCE)
    return np.split(items, np.flatnonzero(np.diff(part)) + 1) if len(items) else []
