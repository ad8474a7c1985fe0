"""``split.near_duplicates``: which records of a corpus are nearly the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.records import modality_of, read_columns, read_schema
from tasks.duplicates import images
from tasks.duplicates.settings import NearDuplicatesSettings
from tasks.duplicates.text import clusters_of


def cluster_of_each(records: Path, settings: NearDuplicatesSettings) -> np.ndarray:
    """Return a number for each record's cluster."""
    modality = modality_of(read_schema(records))

    def read() -> Iterator[Any]:
        for batch in read_columns(records, [modality]):
            yield from batch.column(0).to_pylist()

    if modality == "image":
        return images.clusters(read(), distance=settings.distance)
    return clusters_of(read, similarity=settings.similarity, words=settings.words)
