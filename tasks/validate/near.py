"""Records of one split that stand in another one nearly as they are."""

from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.paths import Part
from tasks.contracts.records import num_records, read_columns, read_schema
from tasks.duplicates.of_records import clusters_of
from tasks.validate.facts import EXAMPLE_IDS, PAIRS
from tasks.validate.settings import NearLeakageSettings


def near_leakage(paths: dict[Part, Path], settings: NearLeakageSettings) -> list[dict[str, Any]]:
    """Return one row a pair of splits: how many of the later have a like in the earlier one.

    Equal records are among them. Like are records of one cluster, as ``split`` has them.

    Args:
        paths: the splits.
        settings: when two records are nearly the same.
    """

    def read(column: str) -> Iterator[Any]:
        return chain.from_iterable(_values(path, column) for path in paths.values())

    found = clusters_of(read_schema(paths["train"]), read, settings)
    cluster_of: dict[Part, np.ndarray] = {}
    start = 0
    for part, path in paths.items():
        end = start + num_records(path)
        cluster_of[part], start = found[start:end], end
    rows = []
    for earlier, later in PAIRS:
        is_shared = np.isin(cluster_of[later], cluster_of[earlier])
        ids = compress(_values(paths[later], "id"), is_shared.tolist())
        first = nsmallest(EXAMPLE_IDS, zip(ids, cluster_of[later][is_shared].tolist(), strict=True))
        like = [np.flatnonzero(cluster_of[earlier] == cluster)[-1] for _, cluster in first]
        is_like = np.isin(np.arange(len(cluster_of[earlier])), like)
        like_ids = compress(_values(paths[earlier], "id"), is_like.tolist())
        id_of = dict(zip(np.flatnonzero(is_like).tolist(), like_ids, strict=True))
        num_shared = int(is_shared.sum())
        rows.append(
            {
                "pair": f"{earlier}, {later}",
                "near": num_shared,
                "share": num_shared / len(is_shared),
                "ids": [
                    [identity, id_of[int(place)]]
                    for (identity, _), place in zip(first, like, strict=True)
                ],
            }
        )
    return rows


def _values(path: Path, column: str) -> Iterator[Any]:
    for batch in read_columns(path, [column]):
        yield from batch.column(0).to_pylist()
