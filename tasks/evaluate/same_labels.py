"""The linear baseline gets the labels that the model got, in few-label studies too."""

from dataclasses import replace
from pathlib import Path

from tasks.contracts import records
from tasks.metrics.predictions import Labelled


def with_same_labels(train: Labelled, chosen: Path) -> Labelled:
    """Return those records of the train split that the model was trained on.

    Args:
        train: the labelled records of the train split.
        chosen: ``labels.parquet``, the ``id`` and ``label`` of each record trained on.
    """
    table = records.read_table(chosen)
    known = set(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
    kept = [
        place for place, key in enumerate(zip(train.ids, train.labels, strict=True)) if key in known
    ]
    return replace(
        train,
        ids=[train.ids[place] for place in kept],
        contents=[train.contents[place] for place in kept],
        labels=[train.labels[place] for place in kept],
    )
