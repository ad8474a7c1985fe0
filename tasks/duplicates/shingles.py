"""A text as the set of its shingles: runs of so many words, each as a 64-bit hash.

Case and what is no word do not count. In scripts that are written without spaces between words
each character counts as a word. All texts of a block are cut and hashed at once, on arrays, since
a loop over words costs fifty times as much:

    characters  t h e   c a t   s a t      one code point each, of all texts in a row
    words       |the|   |cat|   |sat|      hash: sum of character hashes times powers of a base
    shingles    |the cat|  |cat sat|       hash: mixed hashes of its words
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np

BLOCK_CHARACTERS = 2**18
"""Texts are hashed so many characters at a time (a longer text by itself), about 100 bytes each."""

_SEPARATOR = "\0"  # is no part of a word
_BASE = np.uint64(0x9E3779B97F4A7C15)
# The inverse of the base modulo 2^64: takes the place of a word out of its hash.
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))
_UNSPACED = {
    "BOPOMOFO", "CJK", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KHMER", "LAO", "MYANMAR", "TAI",
    "THAI", "TIBETAN", "YI",
}  # fmt: skip
_UNKNOWN, _BETWEEN, _INSIDE, _ALONE = range(4)


def blocks(texts: Sequence[str]) -> Iterator[slice]:
    """Yield slices of texts of about ``BLOCK_CHARACTERS`` each."""
    start = size = 0
    for index, text in enumerate(texts):
        if size and size + len(text) > BLOCK_CHARACTERS:
            yield slice(start, index)
            start, size = index, 0
        size += len(text) + 1
    if size:
        yield slice(start, len(texts))


def shingles(texts: Sequence[str], words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the shingles of texts, text after text; those that repeat stand there repeatedly.

    A text of fewer words has one shingle, of all of them; a text without words has none.

    Args:
        texts: a block of them.
        words: how many words a shingle has.

    Returns:
        The hashes, and where each text's begin, ended by their number.
    """
    hashes, bounds = _words(texts)
    counts = np.diff(bounds)
    num_shingles = np.where(counts >= words, counts - words + 1, np.minimum(counts, 1))
    offsets = np.concatenate(([0], np.cumsum(num_shingles)))
    # Where each shingle begins among all words, and where the words of its text end.
    starts = np.arange(offsets[-1]) + np.repeat(bounds[:-1] - offsets[:-1], num_shingles)
    ends = np.repeat(bounds[1:], num_shingles)
    padded = np.concatenate((hashes, np.zeros(words, dtype=np.uint64)))
    is_short = ends - starts < words
    found = np.zeros(len(starts), dtype=np.uint64)
    for place in range(words):
        word = padded[starts + place]
        # A text of fewer words goes on with nothing, not with the words of the next one.
        word[is_short & (starts + place >= ends)] = 0
        found = mixed(found + word)
    return found, offsets


def _words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hash of each word, text after text, and where each text's words begin."""
    lowered = [
        (text.replace(_SEPARATOR, " ") if _SEPARATOR in text else text).lower() for text in texts
    ]
    joined = f"{_SEPARATOR.join(lowered)}{_SEPARATOR}"
    if joined.isascii():
        codes = np.frombuffer(joined.encode(), dtype=np.uint8)
        starts, ends = _bounds_in_ascii(joined.encode())
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        starts, ends = _bounds(codes)
    powers, inverses = _powers(max(2 * BLOCK_CHARACTERS, len(codes)))
    hashed = np.take(_character_hashes(), codes, mode="clip")
    np.multiply(hashed, powers[: len(codes)], out=hashed)
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(hashed, out=sums[1:])
    hashes = mixed((sums[ends] - sums[starts]) * inverses[starts] + np.uint64(1))
    # The last separator ends the last text.
    text_ends = np.flatnonzero(codes == 0)
    bounds = np.concatenate(([0], np.searchsorted(starts, text_ends)))
    return hashes, bounds[: len(texts) + 1]


def _bounds_in_ascii(joined: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return where words begin and end; none of their characters is a word alone."""
    is_inside = np.frombuffer(joined.translate(_ascii_table()), dtype=np.bool_)
    edges = np.flatnonzero(is_inside[1:] != is_inside[:-1]) + 1
    if is_inside[:1].any():
        edges = np.concatenate(([0], edges))
    return edges[::2], edges[1::2]  # a separator ends the last one


@cache
def _ascii_table() -> bytes:
    """Return for each byte whether it is inside a word."""
    return bytes(code < 128 and _kind(chr(code)) == _INSIDE for code in range(256))


def _bounds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where words begin and end."""
    kinds = _kinds_of(codes)
    inside, alone = kinds == _INSIDE, kinds == _ALONE
    starts_here, ends_here = inside.copy(), inside.copy()
    starts_here[1:] &= ~inside[:-1]
    ends_here[:-1] &= ~inside[1:]
    return np.flatnonzero(starts_here | alone), np.flatnonzero(ends_here | alone) + 1


@lru_cache(maxsize=1)
def _powers(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first powers of the base and of its inverse, modulo 2^64."""
    both = np.full((2, number), [[_BASE], [_INVERSE]], dtype=np.uint64)
    both[:, 0] = 1
    np.multiply.accumulate(both, axis=1, out=both)
    return both[0], both[1]


@cache
def _character_hashes() -> np.ndarray:
    """Return a hash of each code point; to look them up is faster than to mix each anew."""
    return mixed(np.arange(1, 0x110001, dtype=np.uint64))


def mixed(values: np.ndarray) -> np.ndarray:
    """Return values in which every bit depends on every bit (splitmix64, Steele et al., 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _kinds_of(codes: np.ndarray) -> np.ndarray:
    """Return for each code point whether it is inside a word, a word alone, or between words."""
    table = _table()
    kinds = table[codes]
    unknown = np.unique(codes[kinds == _UNKNOWN])
    if len(unknown):
        table[unknown] = [_kind(chr(code)) for code in unknown.tolist()]
        kinds = table[codes]
    return kinds


@cache
def _table() -> np.ndarray:
    """Return the kinds of all code points, filled in as they are met."""
    return np.zeros(0x110000, dtype=np.uint8)


def _kind(character: str) -> int:
    if unicodedata.category(character)[0] not in "LMN":
        return _BETWEEN
    script = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
    return _ALONE if script in _UNSPACED else _INSIDE
