"""By time: the latest records are test, and every date is read or refused."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput, BadSettings
from tasks.split.dates import read_date

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split

CUTS = {"validation": "2024-01-31", "test": "2024-02-20"}


def days(number: int) -> list[str | None]:
    """Return a date for each of so many records, one a day."""
    return [str(date(2024, 1, 1) + timedelta(days=day)) for day in range(number)]


def texts(number: int, official: str | None = None) -> list[tuple[str, str | None, str | None]]:
    return [(f"text {row}", "x", official) for row in range(number)]


def where(parts: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {record["text"]: part for part, records in parts.items() for record in records}


def test_the_latest_records_are_test_and_those_before_validation(split: "Split") -> None:
    parts = where(split(texts(60), columns={"sent": days(60)}, by="sent", cuts=CUTS))
    assert [parts[f"text {row}"] for row in (0, 29, 30, 49, 50, 59)] == [
        "train", "train", "validation", "validation", "test", "test",
    ]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.integers(0, 59), max_size=20))
def test_a_new_record_never_moves_an_old_one_in_time(split: "Split", new: list[int]) -> None:
    asked: dict[str, Any] = {"by": "sent", "cuts": CUTS}
    before = where(split(texts(60), columns={"sent": days(60)}, **asked))
    added = [(f"new {row}", "x", None) for row in range(len(new))]
    dates = [days(60)[day] for day in new] + days(60)
    after = where(split(added + texts(60), columns={"sent": dates}, **asked))
    assert {text: after[text] for text in before} == before


def test_an_official_test_split_is_kept_whatever_its_dates(split: "Split") -> None:
    official = [(f"test {row}", "x", "test") for row in range(5)]
    none: list[str | None] = [None] * 5
    records = texts(60, "train") + official
    parts = split(records, columns={"sent": days(60) + none}, by="sent", cuts=CUTS)
    assert {record["text"] for record in parts["test"]} == {text for text, _, _ in official}
    assert {record["text"] for record in parts["validation"]} == {
        f"text {row}" for row in range(30, 50)
    }


def test_without_cuts_those_of_the_shares_are_suggested(split: "Split") -> None:
    with pytest.raises(BadInput) as error:
        split(texts(60), columns={"sent": days(60)}, by="sent", validation=0.1, test=0.2)
    assert str(error.value) == (
        "split.by: sent: set where validation and test begin; your shares would be "
        "split.cuts: {validation: '2024-02-12', test: '2024-02-18'}"
    )


def test_a_date_that_cannot_be_read_is_named_with_its_row(split: "Split") -> None:
    dates = [*days(2), "last week"]
    with pytest.raises(BadInput) as error:
        split(texts(3), columns={"sent": dates}, by="sent", cuts=CUTS)
    assert str(error.value) == (
        "files:a, row 3: 'last week' is no date (setting split.by): expected one like 2024-01-31, "
        "2024-01-31T12:00:00+01:00 or Wed, 31 Jan 2024 12:00:00 +0100"
    )


def test_a_record_without_a_date_is_named(split: "Split") -> None:
    with pytest.raises(BadInput, match="files:a, row 1 has no date"):
        split(texts(1), columns={"sent": [None]}, by="sent", cuts=CUTS)


def test_cuts_in_the_wrong_order_are_refused(split: "Split") -> None:
    with pytest.raises(BadSettings) as error:
        split(
            texts(3),
            columns={"sent": days(3)},
            by="sent",
            cuts={"validation": "2024-03", "test": "2024-02"},
        )
    assert str(error.value) == (
        "params.yaml: split.cuts: test begins on 2024-02, before validation on 2024-03: "
        "the latest records are test"
    )


def test_a_cut_that_leaves_a_split_empty_is_told(split: "Split") -> None:
    with pytest.raises(
        BadInput, match=r"the test split stays empty.*set other dates in split.cuts"
    ):
        split(texts(60), columns={"sent": days(60)}, by="sent", cuts={**CUTS, "test": "2025"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-03", datetime(2024, 3, 1, tzinfo=UTC)),
        (" 2024-03-05 ", datetime(2024, 3, 5, tzinfo=UTC)),
        ("2024-03-05T01:00:00+02:00", datetime(2024, 3, 4, 23, tzinfo=UTC)),
        ("Tue, 05 Mar 2024 01:00:00 +0200", datetime(2024, 3, 4, 23, tzinfo=UTC)),
    ],
)
def test_dates_of_several_spellings_are_read(value: str, expected: datetime) -> None:
    assert read_date(value, "x") == expected


@given(st.datetimes(), st.integers(-14, 14))
def test_a_time_zone_moves_no_moment(moment: datetime, hours: int) -> None:
    if timedelta(days=1) < moment - datetime.min < datetime.max - datetime.min - timedelta(days=1):
        shifted = moment + timedelta(hours=hours)
        text = f"{shifted.isoformat()}{hours:+03d}:00"
        assert read_date(text, "x") == moment.replace(tzinfo=UTC)
