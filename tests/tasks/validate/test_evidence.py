"""Great Expectations' results, reduced to what is the same in every run."""

import pandas as pd

from tasks.validate.evidence import judge
from tasks.validate.expectations import Check

TABLES = {"train": pd.DataFrame({"id": ["1", "2", "2"], "label": ["x", None, "y"]})}
UNIQUE = Check(
    "train", "ExpectColumnValuesToBeUnique", {"column": "id"}, "repeated", "mend", "repeated"
)
ROWS = Check(
    "train", "ExpectTableRowCountToBeBetween", {"min_value": 3}, "records", "mend", "records"
)


def test_evidence_comes_in_the_order_of_the_checks() -> None:
    assert judge(TABLES, [ROWS, UNIQUE]) == [
        {
            "table": "train",
            "expectation": "expect_table_row_count_to_be_between",
            "arguments": {"min_value": 3},
            "passed": True,
            "observed": {"observed_value": 3},
            "rows": [],
        },
        {
            "table": "train",
            "expectation": "expect_column_values_to_be_unique",
            "arguments": {"column": "id"},
            "passed": False,
            "observed": {
                "element_count": 3,
                "missing_count": 0,
                "unexpected_count": 2,
                "partial_unexpected_counts": [{"value": "2", "count": 2}],
            },
            "rows": [{"id": "2"}, {"id": "2"}],
        },
    ]


def test_two_runs_give_the_same_evidence() -> None:
    assert judge(TABLES, [UNIQUE, ROWS]) == judge(TABLES, [UNIQUE, ROWS])


def test_the_library_reports_nothing_home(capfd: object) -> None:
    import os

    judge(TABLES, [ROWS])
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
