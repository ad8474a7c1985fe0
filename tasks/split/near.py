"""``split.near_duplicates``: which texts of a corpus are nearly the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.contracts.records import modality_of, read_columns, read_schema
from tasks.duplicates.text import clusters_of
from tasks.errors import BadSettings
from tasks.split.settings import NearDuplicatesSettings


def cluster_of_each(records: Path, settings: NearDuplicatesSettings) -> np.ndarray:
    """Return a number for each text's cluster.

    Raises:
        BadSettings: the records are images.
    """
    if modality_of(read_schema(records)) != "text":
        raise BadSettings(
            f"split.near_duplicates compares texts, and {records} holds images: drop it there"
        )

    def read() -> Iterator[str]:
        for batch in read_columns(records, ["text"]):
            yield from batch.column(0).to_pylist()

    return clusters_of(read, similarity=settings.similarity, words=settings.words)
