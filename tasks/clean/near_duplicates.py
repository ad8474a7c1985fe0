"""Records of one class that are nearly the same: one of each cluster stays."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.clean.settings import NearDuplicates
from tasks.clean.settle import NEAR_DUPLICATE, Standing
from tasks.contracts.records import modality_of, read_columns, read_schema
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


class StandingBands:
    """What finds near-duplicates of the records that stay so far, in their order."""

    def __init__(self, settings: NearDuplicates) -> None:
        """Begin with no record.

        Args:
            settings: when two are nearly the same.
        """
        self.found = text.Bands(settings.similarity)

    def add(self, bands: pa.Array | pa.ChunkedArray) -> None:
        """Append records, by what ``bands_of`` says of them."""
        has_words = bands.is_valid().to_numpy(zero_copy_only=False)
        found = np.zeros((len(bands), self.found.number), dtype=np.uint64)
        stored = b"".join(band.as_py() for band in bands.drop_null())
        found[has_words] = np.frombuffer(stored, dtype=np.uint64).reshape(-1, found.shape[1])
        self.found.add(found, has_words)


def drop_near_duplicates(
    standing: Standing, settings: NearDuplicates, bands: StandingBands | None
) -> dict[str, Any]:
    """Drop all but one of each cluster and class, each official split by itself.

    What stays is the largest, that is the longest text or the image of most bytes, of equally
    large ones the one with the smallest id. A record whose label is another one than those of its
    cluster shows something else, or has a wrong label: it stays, and the cluster is counted.

    Args:
        standing: the records that stay so far.
        settings: when two are nearly the same.
        bands: of the same records.

    Returns:
        How many clusters there are, and how many of them have several labels.
    """
    is_open = standing.is_open()
    num_clusters = num_several = 0
    for split in np.unique(standing.splits.codes[is_open]).tolist():
        is_wanted = is_open & (standing.splits.codes == split)
        found = _clusters(standing.path, is_wanted, settings, bands)
        several = np.flatnonzero(np.bincount(found, minlength=len(found))[found] > 1)
        places, cluster = np.flatnonzero(is_wanted)[several], found[several]
        labels = standing.labels.codes[places]
        num_clusters += len(np.unique(cluster))
        of_labels = np.unique(np.stack([cluster, labels]), axis=1)[0]
        num_several += int((np.unique(of_labels, return_counts=True)[1] > 1).sum())
        _keep_one_of_each(standing, places, cluster, labels)
    return {"clusters": num_clusters, "clusters_of_several_labels": num_several}


def _clusters(
    path: Path, is_wanted: np.ndarray, settings: NearDuplicates, bands: StandingBands | None
) -> np.ndarray:
    read = partial(contents_of, path, is_wanted)
    if modality_of(read_schema(path)) == "text":
        assert bands is not None  # noqa: S101 - our own bug
        return text.clusters_of(
            read,
            similarity=settings.similarity,
            words=settings.words,
            bands=bands.found.of(is_wanted),
        )
    return images.clusters(read(), distance=settings.distance)


def contents_of(path: Path, is_wanted: np.ndarray) -> Iterator[Any]:
    """Yield the texts or images of some records, a batch in memory at a time.

    As one column they may have more than the 2 GiB that Arrow's offsets reach.
    """
    start = 0
    for batch in read_columns(path, [modality_of(read_schema(path))]):
        wanted = pa.array(is_wanted[start : start + batch.num_rows])
        start += batch.num_rows
        yield from batch.column(0).filter(wanted).to_pylist()


def _keep_one_of_each(
    standing: Standing, places: np.ndarray, cluster: np.ndarray, labels: np.ndarray
) -> None:
    """Keep one record of each cluster and label.

    Args:
        standing: the records that stay so far.
        places: those that are in clusters of several.
        cluster: of each of these, its number.
        labels: of each of these, its label's number.
    """
    is_wanted = np.zeros(len(standing), dtype=bool)
    is_wanted[places] = True
    sizes, ids = _sizes_and_ids(standing.path, is_wanted)
    order = np.lexsort((ids[:, 1], ids[:, 0], -sizes, labels, cluster))
    places, keys = places[order], np.stack([cluster, labels])[:, order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    best = places[is_first][np.cumsum(is_first) - 1]
    standing.drop(places[~is_first], NEAR_DUPLICATE, stays=best[~is_first])


def _sizes_and_ids(path: Path, is_wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of some records how large each is, and the first half of its id as two numbers."""
    modality = modality_of(read_schema(path))
    length = pc.utf8_length if modality == "text" else pc.binary_length
    sizes, ids = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
    start = 0
    for batch in read_columns(path, ["id", modality]):
        wanted = pa.array(is_wanted[start : start + batch.num_rows])
        start += batch.num_rows
        some = batch.filter(wanted)
        sizes.append(length(some.column(modality)).to_numpy(zero_copy_only=False))
        digits = b"".join(bytes.fromhex(one)[:16] for one in some.column("id").to_pylist())
        ids.append(np.frombuffer(digits, ">u8").reshape(-1, 2).astype(np.uint64))
    return np.concatenate(sizes).astype(np.int64), np.concatenate(ids)
