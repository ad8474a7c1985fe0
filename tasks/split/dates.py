"""``split.by``: the latest records are test, those before them validation, the rest train.

The cuts are dates that the settings name, not shares: with shares, every new record would move old
ones from one split to another.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tasks.contracts.paths import Part
from tasks.errors import BadInput, BadSettings
from tasks.split.settings import CutsSettings

_YEAR = re.compile(r"[0-9]{4}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def read_date(value: str | None, where: str) -> datetime:
    """Return a date, in UTC; one without a time zone is taken as UTC.

    Args:
        value: ``2024``, ``2024-01``, ``2024-01-31``, with a time in ISO 8601, or as e-mail has it.
        where: what has it, for messages.

    Raises:
        BadInput: there is none, or it cannot be read.
    """
    if value is None:
        raise BadInput(
            f"{where} has no date (setting split.by): give it one, or drop it from the source"
        )
    text = value.strip()
    if _YEAR.fullmatch(text):
        text = f"{text}-01-01"
    elif _MONTH.fullmatch(text):
        text = f"{text}-01"
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise BadInput(
        f"{where}: {value!r:.40} is no date (setting split.by): expected one like 2024-01-31, "
        "2024-01-31T12:00:00+01:00 or Wed, 31 Jan 2024 12:00:00 +0100"
    )


def read_cuts(cuts: CutsSettings) -> tuple[datetime, datetime]:
    """Return the first dates of validation and test.

    Raises:
        BadSettings: one is no date, or test begins before validation.
    """
    try:
        validation = read_date(cuts.validation, "split.cuts.validation")
        test = read_date(cuts.test, "split.cuts.test")
    except BadInput as error:
        raise BadSettings(f"params.yaml: {error}") from None
    if test < validation:
        raise BadSettings(
            f"params.yaml: split.cuts: test begins on {cuts.test}, before validation on "
            f"{cuts.validation}: the latest records are test"
        )
    return validation, test


def part_by_date(date: datetime, validation: datetime, test: datetime) -> Part:
    """Return the split of a record that has no official one.

    Args:
        date: that of the record.
        validation: the first date of validation.
        test: the first date of test.
    """
    if date >= test:
        return "test"
    return "validation" if date >= validation else "train"


def suggested(dates: list[datetime], validation: float, test: float) -> str:
    """Return the cuts that would give about these shares, as ``params.yaml`` has them.

    Args:
        dates: those of all records.
        validation: share of records for validation.
        test: share of records for test.
    """
    ordered = sorted(dates)
    last = len(ordered) - 1
    of_test = ordered[min(last, round(len(ordered) * (1 - test)))].date()
    of_validation = ordered[min(last, round(len(ordered) * (1 - test - validation)))].date()
    return f"cuts: {{validation: '{of_validation}', test: '{of_test}'}}"
