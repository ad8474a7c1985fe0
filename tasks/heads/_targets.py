"""The targets of splits, read and checked: what heads of texts have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import records
from tasks.corpora.columns import targets_of
from tasks.errors import BadInput, one_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def is_text(value: object) -> bool:
    """Tell texts that can be written; half a surrogate pair cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_targets(path: Path, targets: Sequence[str], *, complete: bool = True) -> pa.Table:
    """Return ``id``, ``text`` and the targets of a split.

    Args:
        path: the split.
        targets: the columns that a head reads.
        complete: refuse records that lack one; otherwise they are left out.

    Raises:
        BadInput: the corpus has no such target, or a record lacks it.
    """
    known = [field.name for field in targets_of(records.read_schema(path))]
    for name in targets:
        if name not in (*known, "label"):
            raise BadInput(
                f"{path} has no target {name!r}; "
                + (one_of(name, known) if known else "name it in `targets` of the corpus' sources")
            )
    table = records.read_table(path, ["id", "text", *targets])
    has_all = pc.is_valid(table[targets[0]])
    for name in targets[1:]:
        has_all = pc.and_(has_all, pc.is_valid(table[name]))
    missing = table.num_rows - pc.sum(has_all, min_count=0).as_py()
    if missing and complete:
        for name in targets:
            if table[name].null_count == table.num_rows:
                setting = "`label`" if name == "label" else f"`targets: {{{name}: …}}`"
                raise BadInput(
                    f"{path}: no record has a {name}: name its column in {setting} of the corpus' "
                    "sources"
                )
        raise BadInput(
            f"{path}: {missing} of {table.num_rows} records have no {' or no '.join(targets)}: "
            "drop them from the source"
        )
    kept = table.filter(has_all)
    if not kept.num_rows:
        raise BadInput(f"{path}: no record has a target {targets[0]!r}: nothing can be learnt")
    return kept
