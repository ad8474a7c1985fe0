"""``split.near_duplicates``: which records of a corpus are nearly the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.records import read_columns, read_schema
from tasks.duplicates.of_records import clusters_of
from tasks.duplicates.settings import NearDuplicatesSettings


def cluster_of_each(records: Path, settings: NearDuplicatesSettings) -> np.ndarray:
    """Return a number for each record's cluster."""

    def read(column: str) -> Iterator[Any]:
        for batch in read_columns(records, [column]):
            yield from batch.column(0).to_pylist()

    return clusters_of(read_schema(records), read, settings)
