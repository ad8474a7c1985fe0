"""Labels that a person has corrected: ``corrections.csv`` among a corpus' sources.

    id,label,who,why
    5f0c…,earn,Ann,"a dividend, not a takeover"

``id`` is that of the cleaned record, as ``downstream data labels`` lists it. ``collect`` lays the
corrections into its record file, in the file's own metadata, since its outputs are fixed and
``clean`` sees nothing of the sources; without such a file not a byte is different. ``clean``, where
ids are made, applies them before anything else looks at a label. An official test split keeps its
labels.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "corrections.csv"
COLUMNS = ("id", "label", "who", "why")
OUTCOMES = ("applied", "already_so", "kept_in_test", "no_such_record")
"""What became of a correction; a record that stands twice counts twice."""
_KEY = "downstream.corrections"
_ID = re.compile(r"[0-9a-f]{64}")


def read_corrections(folder: Path) -> dict[str, str]:
    """Return the corrected label of each record by its id; empty where there is no file.

    Args:
        folder: the sources of a corpus.

    Raises:
        BadInput: a row lacks a value, an id is none, or stands there twice with two labels.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no csv file in UTF-8: {error}") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise BadInput(
            f"{path}: expected the columns {','.join(COLUMNS)} (corrected labels); records of a "
            "corpus need another file name"
        )
    labels: dict[str, str] = {}
    for row, values in enumerate(rows[1:], start=1):
        if not values:
            continue
        if len(values) != len(COLUMNS) or not all(value.strip() for value in values):
            raise BadInput(f"{path}: row {row}: expected a value for each of {', '.join(COLUMNS)}")
        identity, label = values[0].strip(), values[1].strip()
        if not _ID.fullmatch(identity):
            raise BadInput(
                f"{path}: row {row}: {identity!r:.70} is no id of a record (64 digits of 0-9 and "
                "a-f, as `downstream data labels` lists them)"
            )
        if labels.setdefault(identity, label) != label:
            raise BadInput(
                f"{path}: row {row} gives {identity[:8]} the label {label!r:.40}, a row before "
                f"{labels[identity]!r:.40}: leave one of them"
            )
    return labels


def attach_corrections(path: Path, corrections: dict[str, str]) -> None:
    """Lay corrections into a record file; without any, it is left as it is."""
    if not corrections:
        return
    import pyarrow.parquet as pq

    from tasks.contracts.records import ROWS_PER_GROUP

    temporary = path.with_name(f".{path.name}.corrected")
    with (
        pq.ParquetFile(path, pre_buffer=False) as file,
        pq.ParquetWriter(
            temporary, file.schema_arrow, compression="zstd", store_schema=False
        ) as writer,
    ):
        for group in range(file.num_row_groups):
            writer.write_table(file.read_row_group(group), row_group_size=ROWS_PER_GROUP)
        writer.add_key_value_metadata({_KEY: json.dumps(corrections, sort_keys=True)})
    temporary.replace(path)


def corrections_of(schema: pa.Schema) -> dict[str, str]:
    """Return the corrections that a record file has with it."""
    found = (schema.metadata or {}).get(_KEY.encode())
    corrections: dict[str, str] = json.loads(found) if found is not None else {}
    return corrections


class Corrections:
    """The corrections of a corpus, as ``clean`` applies and counts them."""

    def __init__(self, labels: dict[str, str], clean_label: Callable[[str], str | None]) -> None:
        """Take the corrections over.

        Args:
            labels: the corrected label of each record, by its id.
            clean_label: what ``clean`` does to a label.
        """
        self._labels = {identity: clean_label(label) for identity, label in labels.items()}
        self._found: set[str] = set()
        self._counts: Counter[str] = Counter()

    def apply(self, record: dict[str, Any]) -> None:
        """Correct the label of a cleaned record in place, but in an official test split."""
        identity = record.get("id")
        if identity not in self._labels:
            return
        self._found.add(identity)
        if record["label"] == self._labels[identity]:
            self._counts["already_so"] += 1
        elif record["split"] == "test":
            self._counts["kept_in_test"] += 1
        else:
            record["label"] = self._labels[identity]
            self._counts["applied"] += 1

    def counts(self) -> dict[str, int]:
        """Return what became of them; empty where there are none."""
        if not self._labels:
            return {}
        missing = len(self._labels) - len(self._found)
        return {
            outcome: missing if outcome == "no_such_record" else self._counts[outcome]
            for outcome in OUTCOMES
        }
