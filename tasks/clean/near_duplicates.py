"""Records of one class that are nearly the same: one of each cluster stays."""

from collections import defaultdict
from typing import Any

import numpy as np

from tasks.clean.settings import NearDuplicates
from tasks.clean.settle import Standing
from tasks.contracts.records import modality_of, read_schema, read_table
from tasks.duplicates import images, text


def drop_near_duplicates(standing: Standing, settings: NearDuplicates) -> dict[str, Any]:
    """Drop all but one of each cluster and class, each official split by itself.

    What stays is the largest, that is the longest text or the image of most bytes, of equally
    large ones the one with the smallest id. A record whose label is another one than those of its
    cluster shows something else, or has a wrong label: it stays, and the cluster is counted.

    Args:
        standing: the records that stay so far.
        settings: when two are nearly the same.

    Returns:
        How many clusters there are, and how many of them have several labels.
    """
    by_split: defaultdict[str | None, list[int]] = defaultdict(list)
    for place in standing.open_places():
        by_split[standing.splits[place]].append(place)
    num_clusters = num_several = 0
    for places in by_split.values():
        for members in _clusters(standing, places, settings):
            by_label: defaultdict[str | None, list[tuple[int, int]]] = defaultdict(list)
            for place, size in members:
                by_label[standing.labels[place]].append((place, size))
            num_clusters += 1
            num_several += len(by_label) > 1
            for alike in by_label.values():
                _keep_one(standing, alike)
    return {"clusters": num_clusters, "clusters_of_several_labels": num_several}


def _clusters(
    standing: Standing, places: list[int], settings: NearDuplicates
) -> list[list[tuple[int, int]]]:
    """Return the clusters of two records or more, each record by its place and its size."""
    modality = modality_of(read_schema(standing.path))
    contents = read_table(standing.path, columns=[modality]).column(modality).take(places)
    if modality == "text":
        texts = contents.to_pylist()
        found = text.clusters(texts, similarity=settings.similarity, words=settings.words)
        sizes = [len(content) for content in texts]
    else:
        found = images.clusters(
            (content.as_py() for content in contents), distance=settings.distance
        )
        sizes = [len(content.as_py()) for content in contents]
    several = np.bincount(found, minlength=len(found))[found] > 1
    members: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for number in np.flatnonzero(several).tolist():
        members[int(found[number])].append((places[number], sizes[number]))
    return list(members.values())


def _keep_one(standing: Standing, alike: list[tuple[int, int]]) -> None:
    best, _ = min(alike, key=lambda member: (-member[1], standing.ids[member[0]]))
    for place, _ in alike:
        if place != best:
            standing.reasons[place] = "near_duplicate"
            standing.stays[place] = best
