"""Records that belong together, and would stand in several splits, stay in one of them.

Of a group or a cluster that straddles, one split keeps its records: an official test split before
an official validation split, then train, then validation, then test. The others are left out and
counted. None is moved to another split, so that no record that was ever trained on comes into
test, whatever is added to the corpus or taken from it.
"""

import numpy as np

from tasks.contracts.paths import PARTS

LEFT_OUT = -1
"""In place of an index into ``PARTS``."""
_TRAIN, _VALIDATION, _TEST = (PARTS.index(part) for part in PARTS)
_LAST = 9
"""The rank of what is in no split."""


def kept_apart(parts: np.ndarray, is_official: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the splits, records left out where what belongs together would straddle.

    Args:
        parts: for each record its split, as an index into ``PARTS``, or ``LEFT_OUT``.
        is_official: which records have an official split that is kept.
        keys: a number for each record; those with the same number belong together.
    """
    # The lower, the sooner a split keeps its records.
    ranks = np.full(len(parts), _LAST, dtype=np.int8)
    ranks[parts == _TEST] = 4
    ranks[parts == _VALIDATION] = 3
    ranks[parts == _TRAIN] = 2
    ranks[(parts == _VALIDATION) & is_official] = 1
    ranks[(parts == _TEST) & is_official] = 0
    _, place = np.unique(keys, return_inverse=True)
    best = np.full(place.max(initial=-1) + 1, _LAST, dtype=np.int8)
    np.minimum.at(best, place, ranks)
    winner = np.array([_TEST, _VALIDATION, _TRAIN, _VALIDATION, _TEST], dtype=parts.dtype)
    result = parts.copy()
    is_in = parts != LEFT_OUT
    result[is_in] = np.where(
        parts[is_in] == winner[best[place[is_in]]], parts[is_in], np.int8(LEFT_OUT)
    )
    return result
