"""Records of one class that are nearly the same: one of each cluster stays."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.clean.settle import NEAR_DUPLICATE, Standing
from tasks.contracts.records import Modality, read_columns, read_schema
from tasks.corpora.columns import PAIR, is_of_pairs
from tasks.duplicates import images, pairs, text
from tasks.duplicates.settings import NearDuplicatesSettings


def bands_of(texts: Sequence[str], settings: NearDuplicatesSettings) -> list[bytes | None]:
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


def features_of(found: Sequence[bytes]) -> list[bytes]:
    """Return what each of some images is compared by."""
    return [images.features_of(image) for image in found]


class Compared:
    """What near-duplicates are found by, of the records that stay so far, in their order."""

    def __init__(self, settings: NearDuplicatesSettings, modality: Modality) -> None:
        """Begin with no record.

        Args:
            settings: when two are nearly the same.
            modality: that of the records; images have features in place of bands.
        """
        self.modality = modality
        self.bands = text.Bands(settings.similarity) if modality == "text" else None
        self._features = [np.zeros((0, images.FEATURES), np.uint8)]
        self._sizes, self._ids = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]

    def add(self, records: pa.Table, bands: pa.ChunkedArray) -> None:
        """Append records.

        Args:
            records: with their ids and contents.
            bands: of each, from ``bands_of`` or ``features_of``.
        """
        length = pc.utf8_length if self.modality == "text" else pc.binary_length
        sizes = length(records.column(self.modality)).to_numpy()
        if is_of_pairs(records.schema):
            sizes = sizes + length(records.column(PAIR)).to_numpy()
        self._sizes.append(sizes)
        digits = bytes.fromhex("".join(records.column("id").to_pylist()))
        self._ids.append(np.frombuffer(digits, ">u8").reshape(-1, 4)[:, :2].astype(np.uint64))
        if self.bands is None:
            # Records of an official test split have none, and are never compared.
            features = np.zeros((len(bands), images.FEATURES), np.uint8)
            stored = b"".join(bands.drop_null().to_pylist())
            features[bands.is_valid().to_numpy()] = np.frombuffer(stored, np.uint8).reshape(
                -1, images.FEATURES
            )
            self._features.append(features)
        else:
            has_words = bands.is_valid().to_numpy()
            found = np.zeros((len(bands), self.bands.number), dtype=np.uint64)
            stored = b"".join(bands.drop_null().to_pylist())
            found[has_words] = np.frombuffer(stored, dtype=np.uint64).reshape(-1, found.shape[1])
            self.bands.add(found, has_words)

    def features(self) -> np.ndarray:
        """Return what each image is compared by."""
        return np.concatenate(self._features)

    def sizes(self) -> np.ndarray:
        """Return how large each record is."""
        return np.concatenate(self._sizes)

    def ids(self) -> np.ndarray:
        """Return the first half of the id of each record, as two numbers."""
        return np.concatenate(self._ids)


def drop_near_duplicates(
    standing: Standing, settings: NearDuplicatesSettings, compared: Compared
) -> dict[str, Any]:
    """Drop all but one of each cluster and class, each official split by itself.

    What stays is the largest, that is the longest text or the image of most bytes, of equally
    large ones the one with the smallest id. A record whose label is another one than those of its
    cluster shows something else, or has a wrong label: it stays, and the cluster is counted.

    Args:
        standing: the records that stay so far.
        settings: when two are nearly the same.
        compared: the same records.

    Returns:
        How many clusters there are, and how many of them have several labels.
    """
    is_open = standing.is_open()
    sizes, ids = compared.sizes(), compared.ids()
    num_clusters = num_several = 0
    for split in np.unique(standing.splits.codes[is_open]).tolist():
        is_wanted = is_open & (standing.splits.codes == split)
        found = _clusters(standing.path, is_wanted, settings, compared)
        several = np.flatnonzero(np.bincount(found, minlength=len(found))[found] > 1)
        places, cluster = np.flatnonzero(is_wanted)[several], found[several]
        labels = standing.labels.codes[places]
        num_clusters += len(np.unique(cluster))
        of_labels = np.unique(np.stack([cluster, labels]), axis=1)[0]
        num_several += int((np.unique(of_labels, return_counts=True)[1] > 1).sum())
        by_rank = np.lexsort((*ids[places].T[::-1], -sizes[places], labels, cluster))
        _keep_first_of_each(standing, places[by_rank], cluster[by_rank], labels[by_rank])
    return {"clusters": num_clusters, "clusters_of_several_labels": num_several}


def _clusters(
    path: Path,
    is_wanted: np.ndarray,
    settings: NearDuplicatesSettings,
    compared: Compared,
) -> np.ndarray:
    if compared.bands is None:
        return images.clusters_of(compared.features()[is_wanted], settings.distance)
    alike: dict[str, Any] = {"similarity": settings.similarity, "words": settings.words}
    if is_of_pairs(read_schema(path)):  # what is known is of the first texts alone
        return pairs.clusters_of(partial(contents_of, path, is_wanted), **alike)
    return text.clusters_of(
        partial(contents_of, path, is_wanted, "text"),
        **alike,
        known=(compared.bands.of(is_wanted), compared.ids()[is_wanted]),
    )


def contents_of(path: Path, is_wanted: np.ndarray, column: str) -> Iterator[Any]:
    """Yield the texts or images of some records, a batch in memory at a time.

    As one column they may have more than the 2 GiB that Arrow's offsets reach.

    Args:
        path: the records.
        is_wanted: which of them.
        column: what is read of them.
    """
    start = 0
    for batch in read_columns(path, [column]):
        wanted = pa.array(is_wanted[start : start + batch.num_rows])
        start += batch.num_rows
        yield from batch.column(0).filter(wanted).to_pylist()


def _keep_first_of_each(
    standing: Standing, places: np.ndarray, cluster: np.ndarray, labels: np.ndarray
) -> None:
    """Keep the first record of each cluster and label.

    Args:
        standing: the records that stay so far.
        places: those that are in clusters of several, those of one cluster and label in a row.
        cluster: of each of these, its number.
        labels: of each of these, its label's number.
    """
    is_first = np.ones(len(places), dtype=bool)
    is_first[1:] = (cluster[1:] != cluster[:-1]) | (labels[1:] != labels[:-1])
    best = places[is_first][np.cumsum(is_first) - 1]
    standing.drop(places[~is_first], NEAR_DUPLICATE, stays=best[~is_first])
