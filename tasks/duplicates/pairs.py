"""Clusters of pairs of texts: two pairs are alike where both their texts are.

That is stricter than one text made of both would be: of pairs that share a long first text, as a
paragraph with several questions has them, the second one tells what a pair says.
"""

from collections.abc import Callable, Iterable

import numpy as np

from tasks.duplicates import text

COLUMNS = ("text", "text_b")


def clusters_of(
    read: Callable[[str], Iterable[str]], *, similarity: float, words: int = text.WORDS
) -> np.ndarray:
    """Return for each pair the index of the first member of its cluster; alone, its own.

    The first texts of a cluster hang together by such as are similar, and so do its second texts.

    Args:
        read: the cleaned texts of a column of ``COLUMNS``; gone through more than once.
        similarity: the share of shingles, above 0 and up to 1, that joins two texts.
        words: how many words a shingle has; in scripts without spaces, characters.
    """

    def of(column: str) -> np.ndarray:
        return text.clusters_of(lambda: read(column), similarity=similarity, words=words)

    both = np.stack([of(column) for column in COLUMNS], axis=1)
    _, first, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.ravel()])
