"""What a model's weights have seen before it was finetuned: kept beside them, from pretrain on.

``pretrained_on.npy`` holds the records that a backbone was trained on, 64 bits of the id of each
(an id is a hash of the content; of pairs and dialogues, that of the first text is taken, which is
what a backbone reads), of many those with the smallest: a sample that does not depend on the
corpus. ``downstream.json`` says in ``labels_of`` whose labels a supervised backbone has learnt: a
corpus, or a list of several. A backbone that goes on from another has seen what that has seen, too.
A backbone that was published, or made by an earlier version, says nothing of either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from tasks.contracts import files
from tasks.models.model import describe, description

if TYPE_CHECKING:
    from jaxtyping import UInt64

SEEN = "pretrained_on.npy"
MOST_KEPT = 1 << 16
LABELS_OF = "labels_of"


@dataclass(frozen=True)
class Overlap:
    """Records that a backbone was pretrained on, among others."""

    found: int
    compared: int
    """Of how many; of a large corpus' sample only some can be told."""

    @property
    def share(self) -> float:
        """Return the share of those compared."""
        return self.found / self.compared if self.compared else 0.0


def write_origin(folder: Path, train: Path, before: Path | None = None) -> None:
    """Keep what a backbone was trained on.

    Args:
        folder: of the backbone.
        train: its training split.
        before: the folder of the backbone that it goes on from.
    """
    smallest = np.zeros(0, dtype=np.uint64)
    if before is not None and (before / SEEN).exists():
        smallest = np.load(before / SEEN, allow_pickle=False)
    with pq.ParquetFile(train) as file:
        # Ids may be of two texts, of which a backbone reads the first.
        columns = {*file.schema_arrow.names}
        of_two = "text" in columns and not columns.isdisjoint({"text_b", "response"})
        for batch in file.iter_batches(columns=["text" if of_two else "id"]):
            found = batch.column(0).to_pylist()
            keys = _keys(map(files.sha256_of_text, found) if of_two else found)
            smallest = np.unique(np.concatenate([smallest, keys]))[:MOST_KEPT]
    np.save(folder / SEEN, smallest)


def carry_origin(backbone: Path, model: Path) -> None:
    """Let a finetuned model know what its backbone has seen.

    Args:
        backbone: its folder.
        model: the folder of the model that was finetuned from it.
    """
    if (backbone / SEEN).exists():
        (model / SEEN).write_bytes((backbone / SEEN).read_bytes())
    learnt = labels_of(backbone)
    if learnt:
        describe(model, **{**description(model), **said_of(learnt)})


def overlap(model: Path, ids: Iterable[str]) -> Overlap | None:
    """Return how many of some records the backbone of a model was pretrained on.

    Args:
        model: the model's folder.
        ids: of the records.

    Returns:
        None where that is not known.
    """
    if not (model / SEEN).exists():
        return None
    seen = np.load(model / SEEN, allow_pickle=False)
    keys = _keys(ids)
    if len(seen) == MOST_KEPT:
        keys = keys[keys <= seen[-1]]
    return Overlap(int(np.isin(keys, seen).sum()), len(keys))


def labels_of(model: Path) -> list[str]:
    """Return the corpora whose labels a model or backbone has learnt, as far as that is known."""
    learnt: str | list[str] = description(model).get(LABELS_OF, [])
    return [learnt] if isinstance(learnt, str) else learnt


def said_of(corpora: Iterable[str]) -> dict[str, str | list[str]]:
    """Return what ``downstream.json`` says of one that has learnt the labels of some corpora."""
    learnt = sorted(set(corpora))
    if not learnt:
        return {}
    return {LABELS_OF: learnt[0] if len(learnt) == 1 else learnt}


def _keys(ids: Iterable[str]) -> UInt64[np.ndarray, " N"]:
    hashed = (files.sha256_of_text(identity)[:16] for identity in ids)
    return np.fromiter((int(digits, 16) for digits in hashed), dtype=np.uint64)
