"""Records of one class that are nearly the same: one of each cluster stays."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.clean.settings import NearDuplicates
from tasks.clean.settle import Standing
from tasks.contracts.records import modality_of, read_batches, read_schema
from tasks.duplicates import images, text


def bands_of(texts: Sequence[str], settings: NearDuplicates) -> list[bytes | None]:
    """Return what finds near-duplicates of each of some texts; nothing for one without words.

    Args:
        texts: cleaned texts.
        settings: when two are nearly the same.
    """
    bands, has_words = text.bands_of(texts, settings.similarity, settings.words)
    return [
        band.tobytes() if has_any else None
        for band, has_any in zip(bands, has_words.tolist(), strict=True)
    ]


def drop_near_duplicates(
    standing: Standing, settings: NearDuplicates, bands: pa.ChunkedArray
) -> dict[str, Any]:
    """Drop all but one of each cluster and class, each official split by itself.

    What stays is the largest, that is the longest text or the image of most bytes, of equally
    large ones the one with the smallest id. A record whose label is another one than those of its
    cluster shows something else, or has a wrong label: it stays, and the cluster is counted.

    Args:
        standing: the records that stay so far.
        settings: when two are nearly the same.
        bands: of each text, from ``bands_of``.

    Returns:
        How many clusters there are, and how many of them have several labels.
    """
    by_split: defaultdict[str | None, list[int]] = defaultdict(list)
    for place in standing.open_places():
        by_split[standing.splits[place]].append(place)
    num_clusters = num_several = 0
    for places in by_split.values():
        for members in _clusters(standing, places, settings, bands):
            by_label: defaultdict[str | None, list[tuple[int, int]]] = defaultdict(list)
            for place, size in members:
                by_label[standing.labels[place]].append((place, size))
            num_clusters += 1
            num_several += len(by_label) > 1
            for alike in by_label.values():
                _keep_one(standing, alike)
    return {"clusters": num_clusters, "clusters_of_several_labels": num_several}


def _clusters(
    standing: Standing, places: list[int], settings: NearDuplicates, bands: pa.ChunkedArray
) -> list[list[tuple[int, int]]]:
    """Return the clusters of two records or more, each record by its place and its size."""
    is_wanted = np.zeros(len(standing.ids), dtype=bool)
    is_wanted[places] = True
    sizes: list[int] = []
    contents = _measured(contents_of(standing.path, is_wanted), sizes)
    if modality_of(read_schema(standing.path)) == "text":
        found = text.clusters(
            list(contents),
            similarity=settings.similarity,
            words=settings.words,
            bands=as_arrays(bands, is_wanted, settings.similarity),
        )
    else:
        found = images.clusters(contents, distance=settings.distance)
    several = np.bincount(found, minlength=len(found))[found] > 1
    members: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for number in np.flatnonzero(several).tolist():
        members[int(found[number])].append((places[number], sizes[number]))
    return list(members.values())


def contents_of(path: Path, is_wanted: np.ndarray) -> Iterator[Any]:
    """Yield the texts or images of some records, a batch in memory at a time.

    As one column they may have more than the 2 GiB that Arrow's offsets reach.
    """
    modality = modality_of(read_schema(path))
    start = 0
    for batch in read_batches(path):
        wanted = pa.array(is_wanted[start : start + batch.num_rows])
        start += batch.num_rows
        yield from (content.as_py() for content in batch.column(modality).filter(wanted))


def _measured(contents: Iterator[Any], sizes: list[int]) -> Iterator[Any]:
    """Yield the same contents, and add the size of each to a list."""
    for content in contents:
        sizes.append(len(content))
        yield content


def as_arrays(
    bands: pa.ChunkedArray, is_wanted: np.ndarray, similarity: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return bands as ``tasks.duplicates.text`` has them, and which texts have words.

    Args:
        bands: of each text, from ``bands_of``.
        is_wanted: which texts to return them of.
        similarity: that of the settings.
    """
    # Not by `take`, which makes one array of all chunks: its offsets reach 2 GiB.
    bands = bands.filter(pa.array(is_wanted))
    has_words = bands.is_valid().to_numpy()
    found = np.zeros((len(bands), text.num_bands(similarity)), dtype=np.uint64)
    stored = b"".join(band.as_py() for band in bands.filter(pa.array(has_words)))
    found[has_words] = np.frombuffer(stored, dtype=np.uint64).reshape(-1, found.shape[1])
    return found, has_words


def _keep_one(standing: Standing, alike: list[tuple[int, int]]) -> None:
    best, _ = min(alike, key=lambda member: (-member[1], standing.ids[member[0]]))
    for place, _ in alike:
        if place != best:
            standing.reasons[place] = "near_duplicate"
            standing.stays[place] = best
