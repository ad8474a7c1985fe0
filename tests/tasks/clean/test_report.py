"""Every record is counted once."""

from tasks.clean.report import Report


def test_records_are_counted_by_reason_and_official_split() -> None:
    report = Report()
    report.keep("train")
    report.keep(None)
    report.drop("empty", None, "files:a.csv", 7)
    found = report.as_json()
    nothing = {
        "empty": 0,
        "too_short": 0,
        "too_long": 0,
        "duplicate": 0,
        "duplicate_other_label": 0,
    }
    assert (found["records_in"], found["records_out"]) == (3, 2)
    assert found["dropped"] == {**nothing, "empty": 1}
    assert found["examples"]["empty"] == [{"source": "files:a.csv", "row": 7}]
    assert found["splits"] == {
        "none": {"records_in": 2, "records_out": 1, "dropped": {**nothing, "empty": 1}},
        "train": {"records_in": 1, "records_out": 1, "dropped": nothing},
    }


def test_no_more_than_five_examples_of_a_reason_are_listed() -> None:
    report = Report()
    for row in range(1, 9):
        report.drop("duplicate", "train", "files:a.csv", row)
    examples = report.as_json()["examples"]["duplicate"]
    assert [example["row"] for example in examples] == [1, 2, 3, 4, 5]
    assert report.dropped()["duplicate"] == 8
