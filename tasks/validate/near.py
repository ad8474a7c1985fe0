"""Texts of one split that stand in another one nearly as they are."""

from pathlib import Path
from typing import Any

from tasks.contracts.paths import Part
from tasks.contracts.records import modality_of, read_schema, read_table
from tasks.duplicates.text import clusters
from tasks.errors import BadSettings
from tasks.validate.facts import EXAMPLE_IDS, PAIRS
from tasks.validate.settings import NearDuplicatesSettings


def near_leakage(paths: dict[Part, Path], settings: NearDuplicatesSettings) -> list[dict[str, Any]]:
    """Return one row a pair of splits: how many texts of the later have a like in the earlier one.

    Texts that are equal are among them. Like are texts of one cluster, as ``split`` has them.

    Args:
        paths: the splits.
        settings: when two texts are nearly the same.

    Raises:
        BadSettings: the records are images.
    """
    texts: list[str] = []
    ids: dict[Part, list[str]] = {}
    bounds: dict[Part, slice] = {}
    for part, path in paths.items():
        if modality_of(read_schema(path)) != "text":
            raise BadSettings(
                f"validate.near_duplicates compares texts, and {path} holds images: drop it there"
            )
        table = read_table(path, ["id", "text"])
        bounds[part] = slice(len(texts), len(texts) + table.num_rows)
        texts += table.column("text").to_pylist()
        ids[part] = table.column("id").to_pylist()
    found_in = clusters(texts, similarity=settings.similarity, words=settings.words)
    cluster_of = found_in.tolist()
    rows = []
    for earlier, later in PAIRS:
        first = dict(zip(cluster_of[bounds[earlier]], ids[earlier], strict=True))
        found = sorted(
            (identity, first[cluster])
            for identity, cluster in zip(ids[later], cluster_of[bounds[later]], strict=True)
            if cluster in first
        )
        rows.append(
            {
                "pair": f"{earlier}, {later}",
                "near": len(found),
                "share": len(found) / len(ids[later]),
                "ids": [list(pair) for pair in found[:EXAMPLE_IDS]],
            }
        )
    return rows
