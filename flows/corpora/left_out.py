"""Which records ``split`` left out, told by dividing them again with the settings it had."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.contracts.paths import PARTS
from tasks.contracts.records import read_batches
from tasks.split.settings import Settings
from tasks.split.stage import assign_all


def left_out_of(records: Path, used: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records that are in no split, in the order of the file.

    Args:
        records: the cleaned records.
        used: ``settings.json`` of ``split``.

    Returns:
        Each record with ``why``, the setting that left it out, and ``of``, the split that it would
        have been in.
    """
    settings = Settings.parse(used["settings"], "settings.json of split")
    _, reasons = assign_all(records, settings, used["seed"])
    whys: dict[int, tuple[str, str]] = {}
    for reason, (before, after) in reasons.items():
        for row in ((before >= 0) & (after < 0)).nonzero()[0].tolist():
            whys[row] = reason, PARTS[before[row]]
    found: list[dict[str, Any]] = []
    start = 0
    for batch in read_batches(records):
        rows = [row - start for row in sorted(whys) if 0 <= row - start < batch.num_rows]
        for row, record in zip(
            rows, batch.take(pa.array(rows, pa.int64())).to_pylist(), strict=True
        ):
            why, part = whys[start + row]
            found.append({**record, "why": why, "of": part})
        start += batch.num_rows
    return found
