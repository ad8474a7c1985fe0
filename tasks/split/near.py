"""``split.near_duplicates``: which records of a corpus are nearly the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.records import modality_of, read_columns, read_schema
from tasks.corpora.columns import is_of_pairs
from tasks.duplicates import images, pairs
from tasks.duplicates.settings import NearDuplicatesSettings
from tasks.duplicates.text import clusters_of


def cluster_of_each(records: Path, settings: NearDuplicatesSettings) -> np.ndarray:
    """Return a number for each record's cluster."""
    schema = read_schema(records)

    def read(column: str) -> Iterator[Any]:
        for batch in read_columns(records, [column]):
            yield from batch.column(0).to_pylist()

    if modality_of(schema) == "image":
        return images.clusters(read("image"), distance=settings.distance)
    alike: dict[str, Any] = {"similarity": settings.similarity, "words": settings.words}
    if is_of_pairs(schema):
        return pairs.clusters_of(read, **alike)
    return clusters_of(lambda: read("text"), **alike)
