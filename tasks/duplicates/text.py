"""Clusters of texts that are nearly the same: MinHash finds candidates, counting confirms them.

The similarity of two texts is the share of their shingles that both have (Jaccard). Signatures of
MinHash (Broder, 1997; the one-pass form of ``rensa``) agree in each place with about that
probability, so texts that agree in all rows of some band are compared exactly: what LSH lets
through wrongly costs time, and joins nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from tasks.duplicates.joining import by_first_member, join
from tasks.duplicates.shingles import blocks, shingles

WORDS = 3
"""A shingle has so many words: fewer join texts on the same matter, more miss edited short ones."""
PLACES = 128
"""Of a signature."""
RECALL = 0.99
"""The share of pairs just at the limit that are candidates, at least."""
NEIGHBOURS = 64
"""In a band that more texts share, each is compared with so many others, ordered by content.

A template with a million fillings would cost their square otherwise. Those that are alike are
joined through each other, and in other bands, which have other orders.
"""
_SEED = 1
_PAIRS_AT_ONCE = 20_000


Bands = tuple[np.ndarray, np.ndarray]
"""A hash of each band of each text's signature, and which texts have words."""


def clusters(
    texts: Sequence[str], *, similarity: float, words: int = WORDS, bands: Bands | None = None
) -> np.ndarray:
    """Return for each text the index of the first member of its cluster; alone, its own.

    Equal texts are always in one cluster. Which texts are together depends neither on their order
    nor on the number of threads.

    Args:
        texts: cleaned texts; case, punctuation and white space do not count.
        similarity: the share of shingles, above 0 and up to 1, that joins two texts.
        words: how many words a shingle has; in scripts without spaces, characters.
        bands: from ``bands_of``, of the same texts; without them, they are made here.
    """
    numbers: dict[str, int] = {}
    number_of = np.fromiter(
        (numbers.setdefault(text, len(numbers)) for text in texts), np.int64, len(texts)
    )
    different = list(numbers)
    if bands is None:
        bands = bands_of(different, similarity, words)
    else:
        _, first = np.unique(number_of, return_index=True)
        bands = bands[0][first], bands[1][first]
    return by_first_member(_joined(different, similarity, words, bands)[number_of])


def _joined(texts: list[str], similarity: float, words: int, known: Bands) -> np.ndarray:
    """Return a number for the cluster of each text, of texts that all differ."""
    component = np.arange(len(texts))
    bands, has_words = known
    candidates = has_words & _shares_a_band(bands, has_words)
    if not candidates.any():
        return component
    chosen = np.flatnonzero(candidates)
    sets = _Sets([texts[index] for index in chosen], words)
    digests = np.array([_digest(texts[index]) for index in chosen], dtype=np.uint64)
    joined = np.arange(len(chosen))
    for number in range(bands.shape[1]):
        order = digests * np.uint64(2 * number + 1)
        for first, second in _pairs(bands[chosen, number], order):
            apart = joined[first] != joined[second]
            joined = join(joined, *sets.similar(first[apart], second[apart], similarity))
    component[chosen] = chosen[by_first_member(joined)]
    return component


def num_bands(similarity: float) -> int:
    """Return how many bands a signature has where texts of this similarity are looked for."""
    return PLACES // _rows_of_a_band(similarity)


def bands_of(texts: Sequence[str], similarity: float, words: int = WORDS) -> Bands:
    """Return a hash of each band of each text's signature, and which texts have words.

    Those of one text follow from it alone.

    Args:
        texts: cleaned texts.
        similarity: which two texts have that are to be found.
        words: how many words a shingle has.
    """
    from rensa import RMinHash

    rows = _rows_of_a_band(similarity)
    bands = np.empty((len(texts), num_bands(similarity)), dtype=np.uint64)
    has_words = np.empty(len(texts), dtype=bool)
    multipliers = np.arange(rows, dtype=np.uint64) * np.uint64(2**33) + np.uint64(
        0x9E3779B97F4A7C15
    )
    for block in blocks(texts):
        hashes, offsets = shingles(texts[block], words)
        signatures = np.array(
            RMinHash.digest_matrix_from_flat_token_hashes(
                hashes, offsets.astype(np.uint64), PLACES, _SEED
            ).to_rows(),
            dtype=np.uint64,
        )
        cut = signatures[:, : bands.shape[1] * rows].reshape(-1, bands.shape[1], rows)
        bands[block] = _hash_rows(cut, multipliers)
        has_words[block] = np.diff(offsets) > 0
    return bands, has_words


def _hash_rows(bands: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    hashed = np.zeros(bands.shape[:2], dtype=np.uint64)
    for row, multiplier in enumerate(multipliers):
        hashed = (hashed ^ bands[:, :, row]) * multiplier
        hashed ^= hashed >> np.uint64(29)
    return hashed


def _rows_of_a_band(similarity: float) -> int:
    """Return how many places agree in a band; the more, the fewer wrong candidates."""
    enough = [
        rows
        for rows in range(1, PLACES + 1)
        if 1 - (1 - similarity**rows) ** (PLACES // rows) >= RECALL
    ]
    return max(enough, default=1)


def _shares_a_band(bands: np.ndarray, has_words: np.ndarray) -> np.ndarray:
    """Tell which texts agree with some other in a band."""
    shares = np.zeros(len(bands), dtype=bool)
    for band in bands.T:
        _, inverse, counts = np.unique(band[has_words], return_inverse=True, return_counts=True)
        shares[has_words] |= counts[inverse] > 1
    return shares


def _digest(text: str) -> int:
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _pairs(band: np.ndarray, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of texts with the same band: each with its next neighbour, then the second next.

    Args:
        band: a hash of each text's band.
        order: by what the texts of one band are ordered.
    """
    by_band = np.lexsort((order, band))
    band = band[by_band]
    lefts = np.arange(len(band))
    for distance in range(1, NEIGHBOURS + 1):
        lefts = lefts[lefts + distance < len(band)]
        lefts = lefts[band[lefts] == band[lefts + distance]]
        if not len(lefts):
            return
        for start in range(0, len(lefts), _PAIRS_AT_ONCE):
            left = lefts[start : start + _PAIRS_AT_ONCE]
            yield by_band[left], by_band[left + distance]


class _Sets:
    """The sets of shingles of some texts."""

    def __init__(self, texts: list[str], words: int) -> None:
        from scipy.sparse import csr_array

        found, bounds = [], [np.zeros(1, dtype=np.int64)]
        for block in blocks(texts):
            hashes, offsets = shingles(texts[block], words)
            found.append(hashes)
            bounds.append(bounds[-1][-1] + offsets[1:])
        _, columns = np.unique(np.concatenate(found), return_inverse=True)
        matrix = csr_array(
            (np.ones(len(columns), dtype=np.int32), columns, np.concatenate(bounds)),
            shape=(len(texts), columns.max() + 1),
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1
        self._matrix = matrix
        self._sizes = np.diff(matrix.indptr)

    def similar(
        self, first: np.ndarray, second: np.ndarray, similarity: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return those of the pairs that have at least this similarity."""
        smaller = np.minimum(self._sizes[first], self._sizes[second])
        larger = np.maximum(self._sizes[first], self._sizes[second])
        possible = smaller >= similarity * larger
        first, second = first[possible], second[possible]
        if not len(first):
            return first, second
        both = self._matrix[first].multiply(self._matrix[second]).sum(axis=1)
        either = self._sizes[first] + self._sizes[second] - both
        similar = both / either >= similarity  # as a person rounds it: 55 of 100 are 0.55
        return first[similar], second[similar]
