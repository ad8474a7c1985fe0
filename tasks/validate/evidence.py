"""Great Expectations' judgement, without what changes from run to run."""

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tasks.validate.expectations import Check

if TYPE_CHECKING:
    import pandas as pd

# How a row of each table is named in the evidence.
_ROW_NAMES = {
    "classes": "label",
    "leakage": "pair",
    "near_leakage": "pair",
    "corpus": "corpus",
    "drift": "corpus",
    "languages": "split",
    "labels": "name",
    "tags": "name",
}
# What of a result is kept; the rest repeats these, or is a position within a table.
_KEPT = (
    "observed_value",
    "element_count",
    "missing_count",
    "unexpected_count",
    "partial_unexpected_counts",
)
_LISTED = 5


def judge(tables: "dict[str, pd.DataFrame]", checks: list[Check]) -> list[dict[str, Any]]:
    """Run every expectation.

    Args:
        tables: the tables to judge, by name.
        checks: the expectations.

    Returns:
        For each check, in the given order: ``table``, ``expectation``, ``arguments``, ``passed``,
        ``observed``, and ``rows``, the first few rows that do not meet it.
    """
    by_table: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_table[check.table].append(check)
    judged: dict[int, dict[str, Any]] = {}
    context = _context()
    for name, of_table in by_table.items():
        results = _validate(context, name, tables[name], of_table)
        for check, result in results:
            judged[id(check)] = _evidence(check, result)
    return [judged[id(check)] for check in checks]


def _context() -> Any:
    """Return a context that keeps nothing, shows no bars and reports nothing home."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


def _validate(
    context: Any, name: str, table: "pd.DataFrame", checks: list[Check]
) -> list[tuple[Check, dict[str, Any]]]:
    import great_expectations

    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": table})
    options = {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": [_ROW_NAMES.get(name, "id")],
    }
    results = []
    for check in checks:
        expectation = getattr(great_expectations.expectations, check.expectation)(**check.arguments)
        result = batch.validate(expectation, result_format=options).to_json_dict()
        assert not result["exception_info"].get("raised_exception"), result["exception_info"]  # noqa: S101 - our own bug
        results.append((check, result))
    return results


def _evidence(check: Check, result: dict[str, Any]) -> dict[str, Any]:
    details = result["result"]
    name = _ROW_NAMES.get(check.table, "id")
    rows = (details.get("partial_unexpected_index_list") or [])[:_LISTED]
    return {
        "table": check.table,
        "expectation": result["expectation_config"]["type"],
        "arguments": check.arguments,
        "passed": result["success"],
        "observed": {name: details[name] for name in _KEPT if name in details},
        "rows": [{name: row[name], **row} for row in rows],
    }
