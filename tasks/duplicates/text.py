"""Clusters of texts that are nearly the same: MinHash finds candidates, counting confirms them.

The similarity of two texts is the share of their shingles that both have (Jaccard). Signatures of
MinHash (Broder, 1997; the one-pass form of ``rensa``) agree in each place with about that
probability, so texts that agree in all rows of some band are compared exactly: what LSH lets
through wrongly costs time, and joins nothing.

Where many texts agree in a band (fillings of one template), not all of its pairs are compared.
These texts are also looked at by their rarest shingles: of two that are similar, one at least of so
many rarest ones is the same (prefix filtering, Chaudhuri et al., 2006), and what many texts have of
a template is not among them.

In memory are some numbers for each text, and of the texts one batch at a time; bands and shingles
lie on the disk (``columns``).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy

import numpy as np

from tasks.duplicates.columns import ITEMS_AT_ONCE, Column
from tasks.duplicates.joining import Clusters
from tasks.duplicates.sets import Sets
from tasks.duplicates.shingles import blocks, mixed, shingles
from tasks.machine import memory

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
BATCH_CHARACTERS = 2**22
"""Texts are read so many characters at a time."""
_SEED = 1
_PAIRS_AT_ONCE = 20_000
_MOST_PARTS = 100

Read = Callable[[], Iterable[str]]
"""Returns the texts, the same ones each time: they are gone through more than once."""


def clusters(texts: Sequence[str], *, similarity: float, words: int = WORDS) -> np.ndarray:
    """Return the clusters of texts that are in memory: ``clusters_of`` of them.

    Args:
        texts: cleaned texts; case, punctuation and white space do not count.
        similarity: the share of shingles, above 0 and up to 1, that joins two texts.
        words: how many words a shingle has; in scripts without spaces, characters.
    """
    return clusters_of(lambda: texts, similarity=similarity, words=words)


def clusters_of(
    read: Read,
    *,
    similarity: float,
    words: int = WORDS,
    known: "tuple[Bands, np.ndarray] | None" = None,
) -> np.ndarray:
    """Return for each text the index of the first member of its cluster; alone, its own.

    Equal texts are always in one cluster. Which texts are together depends neither on their order
    nor on the number of threads.

    Args:
        read: the cleaned texts; case, punctuation and white space do not count.
        similarity: the share of shingles, above 0 and up to 1, that joins two texts.
        words: how many words a shingle has; in scripts without spaces, characters.
        known: the bands of the same texts, and 128 bits of each by which equal ones are known, as
            two numbers; without them, they are made here.
    """
    bands, digest = known or _bands_and_digests(read, similarity, words)
    first_equal = _first_equal(digest)
    is_candidate = bands.has_words() & (first_equal == np.arange(len(digest)))
    is_candidate[is_candidate] = _shares_a_band(bands, is_candidate)
    found = first_equal
    if is_candidate.any():
        chosen = np.flatnonzero(is_candidate)
        sets = Sets(_batches(_chosen(read(), is_candidate)), words)
        joined = _joined(sets, digest[chosen, 0], bands, is_candidate, similarity)
        found = np.arange(len(digest))
        found[chosen] = chosen[joined.all()]
        found = found[first_equal]
    return found


def _bands_and_digests(read: Read, similarity: float, words: int) -> tuple["Bands", np.ndarray]:
    bands = Bands(similarity)
    digests = [np.zeros((0, 2), np.uint64)]
    for texts in _batches(read()):
        digests.append(_digests(texts))
        bands.add(*bands_of(texts, similarity, words))
    return bands, np.concatenate(digests)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _chosen(texts: Iterable[str], is_chosen: np.ndarray) -> Iterator[str]:
    return (text for text, wanted in zip(texts, is_chosen.tolist(), strict=True) if wanted)


def _joined(
    sets: Sets, digests: np.ndarray, bands: "Bands", is_candidate: np.ndarray, similarity: float
) -> Clusters:
    """Return the clusters of the candidates, by their numbers."""
    joined = Clusters(len(digests))
    is_crowded = np.zeros(len(digests), dtype=bool)
    for number in range(bands.number):
        band = bands.read(number, is_candidate)
        is_crowded |= _num_sharers(band) > NEIGHBOURS
        order = mixed(digests + np.uint64(number))
        for first, second in _pairs(band, order, NEIGHBOURS):
            _join_similar(joined, first, second, sets, similarity)
    if is_crowded.any():
        crowded = np.flatnonzero(is_crowded)
        num_rarest = sets.num_rarest(crowded, similarity)
        num_parts = 1 + min(_MOST_PARTS, num_rarest // memory.share(ITEMS_AT_ONCE))
        for texts, found in _by_shingle(sets.rarest(crowded, similarity), num_parts):
            is_open = _several_clusters(found, joined.first_of(texts))
            which, shingle = texts[is_open], found[is_open]
            order = mixed(digests[which] + mixed(shingle.astype(np.uint64)))
            for first, second in _pairs(shingle, order, SHARERS):
                _join_similar(joined, which[first], which[second], sets, similarity)
    return joined


def _join_similar(
    joined: Clusters, first: np.ndarray, second: np.ndarray, sets: Sets, similarity: float
) -> None:
    apart = joined.first_of(first) != joined.first_of(second)
    joined.join(*sets.similar(first[apart], second[apart], similarity))


def _by_shingle(
    found: Iterable[tuple[np.ndarray, np.ndarray]], num_parts: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield texts and their shingles anew, all that have a shingle at once, in so many parts."""
    parts = [(Column(np.int64), Column(np.int64)) for _ in range(num_parts)]
    for which, shingle in found:
        part_of = shingle % num_parts
        for number, (texts, shingles_of) in enumerate(parts):
            texts.add(which[part_of == number])
            shingles_of.add(shingle[part_of == number])
    for texts, shingles_of in parts:
        yield texts.read(), shingles_of.read()


class Bands:
    """A hash of each band of each text's signature, on the disk, and which texts have words."""

    def __init__(self, similarity: float) -> None:
        """Begin with no text.

        Args:
            similarity: which two texts have that are to be found.
        """
        self.number = num_bands(similarity)
        self._columns = [Column(np.uint64) for _ in range(self.number)]
        self._has_words: list[np.ndarray] = [np.zeros(0, dtype=bool)]
        self._chosen: np.ndarray | None = None

    def add(self, bands: np.ndarray, has_words: np.ndarray) -> None:
        """Append texts, by what ``bands_of`` says of them."""
        for column, band in zip(self._columns, bands.T, strict=True):
            column.add(band)
        self._has_words.append(has_words)

    def has_words(self) -> np.ndarray:
        """Return which texts have words."""
        has_words = np.concatenate(self._has_words)
        return has_words if self._chosen is None else has_words[self._chosen]

    def of(self, is_chosen: np.ndarray) -> "Bands":
        """Return the same bands of some of the texts."""
        some = copy(self)
        some._chosen = np.flatnonzero(is_chosen)
        return some

    def read(self, number: int, is_wanted: np.ndarray) -> np.ndarray:
        """Return one band of some texts."""
        band = self._columns[number].read()
        return (band if self._chosen is None else band[self._chosen])[is_wanted]


def num_bands(similarity: float) -> int:
    """Return how many bands a signature has where texts of this similarity are looked for."""
    return PLACES // _rows_of_a_band(similarity)


def bands_of(
    texts: Sequence[str], similarity: float, words: int = WORDS
) -> tuple[np.ndarray, np.ndarray]:
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


def _shares_a_band(bands: Bands, is_wanted: np.ndarray) -> np.ndarray:
    """Tell which of the wanted texts agree with some other of them in a band."""
    shares = np.zeros(int(is_wanted.sum()), dtype=bool)
    for number in range(bands.number):
        band = bands.read(number, is_wanted)
        # Sorted alone, which takes a tenth of the time that it takes to know the order too.
        ordered = np.sort(band)
        shared = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(shared):
            places = np.minimum(np.searchsorted(shared, band), len(shared) - 1)
            shares |= shared[places] == band
    return shares


def _num_sharers(band: np.ndarray) -> np.ndarray:
    """Return how many others have what each text has."""
    order = np.argsort(band)
    ends = np.flatnonzero(np.diff(band[order], append=~band[order[-1:]]))
    lengths = np.diff(ends, prepend=-1)
    sharers = np.empty(len(band), dtype=np.int32)
    sharers[order] = np.repeat(lengths - 1, lengths)
    return sharers


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


def _digests(texts: Sequence[str]) -> np.ndarray:
    """Return 128 bits of each text, by which those that are equal are known."""
    hashed = (
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for text in texts
    )
    return np.frombuffer(b"".join(hashed), dtype=np.uint64).reshape(-1, 2)


def _first_equal(digests: np.ndarray) -> np.ndarray:
    """Return for each text the index of the first one that is equal to it."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # equal ones stay in their order
    ordered = digests[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[is_new][np.cumsum(is_new) - 1]
    return first


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
