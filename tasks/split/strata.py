"""``split.stratify`` of what other heads learn: what stands in place of a class.

Of records with classes, that is the class. Else, of the first target that the records have:

- ``value``: the tenth of the values that a record's lies in, equal values in one;
- ``labels`` or ``tags``: the rarest of those that the record has, by the number of records with it.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.records import read_columns, read_schema
from tasks.corpora.columns import targets_of

NUM_QUANTILES = 10


def strata_of(records: Path) -> list[str | None]:
    """Return what each record is told apart by; None where it has nothing of the kind."""
    found: list[str | None] = _values(records, "label")
    if any(label is not None for label in found):
        return found
    for target in ("value", "labels", "tags"):
        if target in [field.name for field in targets_of(read_schema(records))]:
            values = _values(records, target)
            return by_quantile(values) if target == "value" else by_rarest(values)
    return found


def by_quantile(values: Sequence[float | None]) -> list[str | None]:
    """Return the tenth that each value lies in, by name."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return [None] * len(values)
    shares = np.arange(1, NUM_QUANTILES) / NUM_QUANTILES
    bounds = np.unique(np.quantile(known, shares, method="higher"))
    return [
        None if value is None else str(np.searchsorted(bounds, value, side="right"))
        for value in values
    ]


def by_rarest(values: Sequence[Sequence[str] | None]) -> list[str | None]:
    """Return the rarest name of each record, of equally rare ones the first."""
    num_records = Counter(name for names in values for name in set(names or ()))
    return [
        min(names, key=lambda name: (num_records[name], name)) if names else None
        for names in values
    ]


def _values(records: Path, column: str) -> list[Any]:
    batches = read_columns(records, [column])
    return [value for batch in batches for value in batch.column(0).to_pylist()]
