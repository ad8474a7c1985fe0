"""The linear baseline is given the records that the model was given."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.evaluate.same_labels import with_same_labels
from tasks.metrics.predictions import Labelled


def test_only_the_chosen_records_are_left_in_their_order(tmp_path: Path) -> None:
    chosen = tmp_path / "labels.parquet"
    # The record b stands in the corpus with two labels; only one of them was chosen.
    pq.write_table(pa.table({"id": ["c", "b"], "label": ["earn", "corn"]}), chosen)
    train = Labelled(
        modality="text",
        ids=["a", "b", "b", "c"],
        contents=["one", "two", "two", "three"],
        labels=["corn", "corn", "earn", "earn"],
        num_unlabelled=1,
    )
    assert with_same_labels(train, chosen) == Labelled(
        modality="text",
        ids=["b", "c"],
        contents=["two", "three"],
        labels=["corn", "earn"],
        num_unlabelled=1,
    )
