"""What is measured of targets: values, labels, and tags beside their tokens.

Each split becomes a table ``<part>_targets`` with a row a record: ``id``, ``value``, of every other
target how many it has of it (a text counts its characters), by how much tags and tokens differ, and
of tags in IOB how many go on from no span (IOB2 begins each with B-; so does the F1 of spans).
``labels`` and ``tags`` are tables with a row a name, and how often it stands in each split.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts.paths import PARTS, Part
from tasks.contracts.records import read_columns, read_schema
from tasks.corpora.columns import targets_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

NAMES = ("labels", "tags")
"""The targets whose values are names from a set."""
DIFFERENCE = "tags_less_tokens"
STRAY = "tags_from_no_span"
CHECKED = (DIFFERENCE, STRAY)
"""What is measured to be checked, and is no target."""
_LISTED = 100
"""Names that ``result.json`` lists, the most frequent first."""


def target_tables(paths: dict[Part, Path]) -> dict[str, pd.DataFrame]:
    """Return the tables of the targets that all splits have; none where they have none."""
    import pandas as pd

    fields = targets_of(read_schema(paths["train"]))
    if not fields:
        return {}
    tables: dict[str, pd.DataFrame] = {}
    counts: dict[str, dict[Part, Counter[str]]] = {
        field.name: {} for field in fields if field.name in NAMES
    }
    for part, path in paths.items():
        batches = []
        for found in counts.values():
            found[part] = Counter()
        for batch in read_columns(path, ["id", *(field.name for field in fields)]):
            batches.append(_measured(batch, fields))
            for name, found in counts.items():
                found[part].update(batch.column(name).flatten().to_pylist())
        tables[f"{part}_targets"] = pa.Table.from_batches(batches).to_pandas()
    for name, found in counts.items():
        table = pd.DataFrame({part: pd.Series(found[part], dtype=float) for part in PARTS})
        table = table.fillna(0).astype(int).sort_index()
        tables[name] = table.rename_axis("name").reset_index()
    return tables


def _measured(batch: pa.RecordBatch, fields: list[pa.Field]) -> pa.RecordBatch:
    columns = {"id": batch.column("id")}
    for field in fields:
        found = batch.column(field.name)
        if pa.types.is_list(field.type):
            found = pc.list_value_length(found)
        elif pa.types.is_string(field.type):
            found = pc.utf8_length(found)
        columns[field.name] = found
    if "tags" in columns:
        columns[DIFFERENCE] = pc.subtract(columns["tags"], columns["tokens"])
        of_records = batch.column("tags").to_pylist()
        columns[STRAY] = pa.array([_num_stray(tags or ()) for tags in of_records], pa.int64())
    return pa.RecordBatch.from_pydict(columns)


def _num_stray(tags: Sequence[str]) -> int:
    """Return how many tags go on with a span that did not begin."""
    before = ("O", *tags)
    return sum(
        tag.startswith("I-") and last not in (tag, f"B-{tag[2:]}")
        for last, tag in zip(before, tags, strict=False)
    )


def target_facts(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what ``result.json`` says of the targets, whatever the tolerances."""
    if not tables:
        return {}
    facts: dict[str, Any] = {"targets": {}}
    for part in PARTS:
        measured = tables[f"{part}_targets"].drop(columns=["id", *CHECKED], errors="ignore")
        facts["targets"][part] = {
            str(name): {
                "missing": int(values.isna().sum()),
                **{
                    what: None if values.isna().all() else float(value)
                    for what, value in (
                        ("minimum", values.min()),
                        ("mean", values.mean()),
                        ("maximum", values.max()),
                    )
                },
            }
            for name, values in measured.items()
        }
    for name in NAMES:
        if name in tables:
            first = tables[name].sort_values(["train", "name"], ascending=[False, True])
            facts[name] = first.head(_LISTED).set_index("name").to_dict(orient="index")
    return facts
