"""``split.near_duplicates``: which texts of a corpus are nearly the same."""

from pathlib import Path

import numpy as np

from tasks.contracts.records import modality_of, read_schema, read_table
from tasks.duplicates.text import clusters
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
    texts = read_table(records, ["text"]).column(0).to_pylist()
    return clusters(texts, similarity=settings.similarity, words=settings.words)
