"""What is measured on the three splits: tables that Great Expectations then judges.

The contents themselves are never held: a split becomes one row a record with its id, its label and
its length (text) or its width and height (images).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.contracts.images import opened
from tasks.contracts.paths import PARTS, Part
from tasks.contracts.records import modality_of, read_batches, read_schema

if TYPE_CHECKING:
    import pandas as pd

# Which split may share no record with which earlier one.
PAIRS: tuple[tuple[Part, Part], ...] = (
    ("train", "validation"),
    ("train", "test"),
    ("validation", "test"),
)
EXAMPLE_IDS = 5


def profile(path: Path) -> "pd.DataFrame":
    """Return ``id``, ``label``, and ``characters`` or ``width`` and ``height`` of each record."""
    measure = {"text": _measure_texts, "image": _measure_images}[modality_of(read_schema(path))]
    batches = [measure(batch) for batch in read_batches(path)]
    return pa.Table.from_batches(batches).to_pandas()


def _measure_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow.compute as pc

    lengths = pc.utf8_length(pc.fill_null(batch.column("text"), ""))
    columns = {"id": batch.column("id"), "label": batch.column("label"), "characters": lengths}
    return pa.RecordBatch.from_pydict(columns)


def _measure_images(batch: pa.RecordBatch) -> pa.RecordBatch:
    images = batch.column("image").to_pylist()
    sizes = [opened(content, "an image of the split").size for content in images]
    columns = {
        "id": batch.column("id"),
        "label": batch.column("label"),
        "width": pa.array([width for width, _ in sizes], pa.int64()),
        "height": pa.array([height for _, height in sizes], pa.int64()),
    }
    return pa.RecordBatch.from_pydict(columns)


def classes(splits: "dict[Part, pd.DataFrame]") -> "pd.DataFrame":
    """Return one row a class, sorted: ``label`` and its number of records in each split."""
    import pandas as pd

    counts = pd.DataFrame({part: splits[part]["label"].value_counts() for part in PARTS})
    counts = counts.fillna(0).astype(int).sort_index()
    return counts.rename_axis("label").reset_index()


def leakage(splits: "dict[Part, pd.DataFrame]") -> "pd.DataFrame":
    """Return one row a pair of splits: how many ids of the later stand in the earlier one too."""
    import pandas as pd

    rows = []
    for earlier, later in PAIRS:
        shared = sorted(set(splits[earlier]["id"]) & set(splits[later]["id"]))
        rows.append(
            {
                "pair": f"{earlier}, {later}",
                "shared": len(shared),
                "share": len(shared) / len(splits[later]),
                "ids": shared[:EXAMPLE_IDS],
            }
        )
    return pd.DataFrame(rows)


def drift(counts: "pd.DataFrame") -> dict[str, float]:
    """Compare the class shares of train and test.

    Args:
        counts: the table of :func:`classes`.

    Returns:
        ``total_variation``, half the sum of absolute differences; ``expected_by_chance``, its mean
        if both were drawn at random from one corpus (normal approximation), which is large for
        small splits; and ``beyond_chance``, the former less the latter, at least 0.
    """
    import numpy as np

    train, test = counts["train"].to_numpy(), counts["test"].to_numpy()
    num_train, num_test = max(train.sum(), 1), max(test.sum(), 1)
    distance = float(np.abs(train / num_train - test / num_test).sum() / 2)
    shares = (train + test) / max((train + test).sum(), 1)
    variances = shares * (1 - shares) * (1 / num_train + 1 / num_test)
    by_chance = float(np.sqrt(2 * variances / np.pi).sum() / 2)
    return {
        "total_variation": distance,
        "expected_by_chance": by_chance,
        "beyond_chance": max(0.0, distance - by_chance),
    }


def summary(splits: "dict[Part, pd.DataFrame]") -> dict[str, Any]:
    """Return what ``result.json`` says of the splits, whatever the tolerances."""
    counts, leaks = classes(splits), leakage(splits)
    facts: dict[str, Any] = {"splits": {part: _of_split(splits[part]) for part in PARTS}}
    facts["leakage"] = leaks.to_dict(orient="records")
    facts["classes"] = counts.set_index("label").to_dict(orient="index")
    if len(counts):
        facts["class_drift"] = drift(counts)
    return facts


def _of_split(split: "pd.DataFrame") -> dict[str, Any]:
    measured = split.drop(columns=["id", "label"])
    return {
        "records": len(split),
        "unlabelled": int(split["label"].isna().sum()),
        **{
            str(name): {
                "minimum": int(values.min()),
                "mean": float(values.mean()),
                "maximum": int(values.max()),
            }
            for name, values in measured.items()
        },
    }
