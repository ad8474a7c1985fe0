"""Clusters of records, whatever they hold: an image, a text, or two."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.contracts.records import modality_of
from tasks.corpora.columns import is_of_pairs
from tasks.duplicates import images, pairs, text
from tasks.duplicates.settings import NearDuplicatesSettings


def clusters_of(
    schema: pa.Schema, read: Callable[[str], Iterable[Any]], settings: NearDuplicatesSettings
) -> np.ndarray:
    """Return a number for each record's cluster.

    Args:
        schema: of the records.
        read: their values of a column; gone through more than once where they are texts.
        settings: when two of them are nearly the same.
    """
    if modality_of(schema) == "image":
        return images.clusters(read("image"), distance=settings.distance)
    if is_of_pairs(schema):
        return pairs.clusters_of(read, similarity=settings.similarity, words=settings.words)
    return text.clusters_of(
        lambda: read("text"), similarity=settings.similarity, words=settings.words
    )
