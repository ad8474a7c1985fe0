"""Clusters of texts that are nearly the same: MinHash finds candidates, counting confirms them.

The similarity of two texts is the share of their shingles that both have (Jaccard). Signatures of
MinHash (Broder, 1997; the one-pass form of ``rensa``) agree in each place with about that
probability, so texts that agree in all rows of some band are compared exactly: what LSH lets
through wrongly costs time, and joins nothing.

Where many texts agree in a band (fillings of one template), not all of its pairs are compared.
These texts are also looked at by their rarest shingles: of two that are similar, one at least of so
many rarest ones is the same (prefix filtering, Chaudhuri et al., 2006), and what many texts have of
a template is not among them.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from tasks.duplicates.joining import by_first_member, join
from tasks.duplicates.shingles import blocks, mixed, shingles

WORDS = 3
"""A shingle has so many words: fewer join texts on the same matter, more miss edited short ones."""
PLACES = 128
"""Of a signature."""
RECALL = 0.99
"""The share of pairs just at the limit that are candidates, at least."""
NEIGHBOURS = 64
"""In a band that more texts share, each is compared with so many others, ordered by content.

A template with a million fillings would cost their square otherwise. Those that are alike are
joined through each other, in other bands, which have other orders, and by their rarest shingles.
"""
SHARERS = 256
"""Of texts that have a rare shingle in common, each is compared with so many others."""
_SEED = 1
_PAIRS_AT_ONCE = 20_000
_SKETCH_BITS = 512
_SKETCHES_AT_ONCE = 4_096


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
    is_crowded = np.zeros(len(chosen), dtype=bool)
    for number in range(bands.shape[1]):
        band = bands[chosen, number]
        is_crowded |= _num_sharers(band) > NEIGHBOURS
        order = mixed(digests + np.uint64(number))
        for first, second in _pairs(band, order, NEIGHBOURS):
            joined = _join_similar(joined, first, second, sets, similarity)
    if is_crowded.any():
        which, shingle = sets.rarest(np.flatnonzero(is_crowded), similarity)
        is_open = _several_clusters(shingle, joined[which])
        which, shingle = which[is_open], shingle[is_open]
        order = mixed(digests[which] + mixed(shingle.astype(np.uint64)))
        for first, second in _pairs(shingle, order, SHARERS):
            joined = _join_similar(joined, which[first], which[second], sets, similarity)
    component[chosen] = chosen[by_first_member(joined)]
    return component


def _join_similar(
    joined: np.ndarray, first: np.ndarray, second: np.ndarray, sets: "_Sets", similarity: float
) -> np.ndarray:
    apart = joined[first] != joined[second]
    return join(joined, *sets.similar(first[apart], second[apart], similarity))


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
        shares[has_words] |= _num_sharers(band[has_words]) > 0
    return shares


def _num_sharers(band: np.ndarray) -> np.ndarray:
    """Return how many others have what each text has."""
    _, inverse, counts = np.unique(band, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] - 1)


def _several_clusters(keys: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Tell which of these have a key that another cluster has too.

    Args:
        keys: one each.
        cluster: of each, its number.
    """
    _, inverse = np.unique(keys, return_inverse=True)
    lowest = np.full(inverse.max(initial=-1) + 1, len(cluster) and cluster.max())
    highest = np.zeros_like(lowest)
    np.minimum.at(lowest, inverse, cluster)
    np.maximum.at(highest, inverse, cluster)
    return np.asarray((lowest != highest)[inverse])


def _digest(text: str) -> int:
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _pairs(
    keys: np.ndarray, order: np.ndarray, neighbours: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs with the same key: each with its next neighbour, then the second next.

    Args:
        keys: one each, such as a hash of a text's band.
        order: by what those of one key are ordered.
        neighbours: with how many others each is paired in each direction.
    """
    by_key = np.lexsort((order, keys))
    keys = keys[by_key]
    lefts = np.arange(len(keys))
    for distance in range(1, neighbours + 1):
        lefts = lefts[lefts + distance < len(keys)]
        lefts = lefts[keys[lefts] == keys[lefts + distance]]
        if not len(lefts):
            return
        for start in range(0, len(lefts), _PAIRS_AT_ONCE):
            left = lefts[start : start + _PAIRS_AT_ONCE]
            yield by_key[left], by_key[left + distance]


class _Sets:
    """The sets of shingles of some texts, each shingle numbered by its rarity, rare ones first."""

    def __init__(self, texts: list[str], words: int) -> None:
        from scipy.sparse import csr_array

        found, bounds = [], [np.zeros(1, dtype=np.int64)]
        for block in blocks(texts):
            hashes, offsets = shingles(texts[block], words)
            found.append(hashes)
            bounds.append(bounds[-1][-1] + offsets[1:])
        _, columns, counts = np.unique(
            np.concatenate(found), return_inverse=True, return_counts=True
        )
        rank = np.empty(len(counts), dtype=columns.dtype)
        rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
        matrix = csr_array(
            (np.ones(len(columns), dtype=np.int32), rank[columns], np.concatenate(bounds)),
            shape=(len(texts), len(counts)),
        )
        matrix.sum_duplicates()  # and sorts the shingles of each text
        matrix.data[:] = 1
        self._matrix = matrix
        self._sizes = np.diff(matrix.indptr)
        self._sketches = self._sketched()

    def _sketched(self) -> np.ndarray:
        """Return bits for each set: of each 512th shingle, whether the set has an odd number."""
        sketches = [np.zeros((0, _SKETCH_BITS // 64), dtype=np.uint64)]
        for start in range(0, len(self._sizes), _SKETCHES_AT_ONCE):
            sizes = self._sizes[start : start + _SKETCHES_AT_ONCE]
            first, last = self._matrix.indptr[[start, start + len(sizes)]]
            bits = self._matrix.indices[first:last] % _SKETCH_BITS
            places = np.repeat(np.arange(len(sizes)) * _SKETCH_BITS, sizes) + bits
            odd = np.bincount(places, minlength=len(sizes) * _SKETCH_BITS) % 2 == 1
            sketches.append(np.packbits(odd.reshape(-1, _SKETCH_BITS), axis=1).view(np.uint64))
        return np.concatenate(sketches)

    def rarest(self, which: np.ndarray, similarity: float) -> tuple[np.ndarray, np.ndarray]:
        """Return so many rarest shingles of some texts that similar ones have one in common.

        Args:
            which: the texts.
            similarity: the share of shingles that makes two similar.

        Returns:
            A text and a shingle of it each, by their numbers.
        """
        sizes = self._sizes[which]
        # Similar sets share at least this part of either; the rest and one more must meet it.
        shared = np.ceil(similarity * sizes - 1e-6).astype(np.int64)
        lengths = np.minimum(sizes - shared + 1, sizes)
        starts = np.repeat(self._matrix.indptr[which] - (np.cumsum(lengths) - lengths), lengths)
        found = self._matrix.indices[starts + np.arange(lengths.sum())]
        return np.repeat(which, lengths), found

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
        first, second = first[possible], second[possible]
        if not len(first):
            return first, second
        both = self._matrix[first].multiply(self._matrix[second]).sum(axis=1)
        either = self._sizes[first] + self._sizes[second] - both
        similar = both / either >= similarity  # as a person rounds it: 55 of 100 are 0.55
        return first[similar], second[similar]
