"""What a head learns, as it stands in a table: checked, and brought to the type of its target."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.collect.sources._columns import MAXIMUM_VALUE_BYTES, TableSettings, as_label, as_text
from tasks.corpora.columns import PAIR
from tasks.errors import BadInput

Target = float | str | list[str]
LARGEST = 1e30
"""Of a value: heads learn it in 32 bits, which end at 3.4e38, and differences have to fit too."""
BETWEEN_LABELS = frozenset(",;|[")
"""What stands in a list of labels that was written as a text, and is not between words."""
INDICATORS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
"""How a column tells whether a record has a label."""


def targets_of(
    settings: TableSettings, values: Mapping[str, Any], where: str
) -> dict[str, Target | None]:
    """Return the targets of a row; one that is missing is null.

    Args:
        settings: they name the column of each target.
        values: a row by column.
        where: the file and row, for messages.

    Raises:
        BadInput: a value is not of its target's type, or there are not as many tags as tokens.
    """
    found: dict[str, Target | None] = {}
    for target, column in (settings.targets or {}).items():
        place = f"{where}: column {column!r} (setting targets.{target})"
        if target == "value":
            found[target] = _as_number(values[str(column)], place)
        elif target == "response":
            found[target] = _as_response(values[str(column)], place)
        elif target == PAIR:
            found[target] = as_text(_text_or_none(values[str(column)], place), place)
        elif isinstance(column, list) and settings.indicators:
            columns = {one: f"{where}: column {one!r} (setting targets.labels)" for one in column}
            found[target] = [one for one, place in columns.items() if _is_set(values[one], place)]
        elif isinstance(column, list):
            classes = [as_label(values[one], f"{where}: column {one!r}") for one in column]
            found[target] = _once_each(one for one in classes if one is not None)
        elif target == "labels":
            found[target] = _as_labels(values[column], place, column)
        else:
            found[target] = _as_texts(values[column], place)
    _check_tags(found, where)
    return found


def _as_number(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        is_none = isinstance(value, bool) or (isinstance(value, str) and "_" in value)
        number = math.nan if is_none else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:  # and NaN, which is not
        raise BadInput(f"{where}: expected a finite number, found {value!r:.40}: mend the source")
    return number


def _is_set(value: Any, where: str) -> bool:
    written = str(value).strip().lower()
    if written not in INDICATORS:
        raise BadInput(f"{where}: expected 0 or 1 (setting indicators), found {value!r:.40}")
    return INDICATORS[written]


def _as_response(value: Any, where: str) -> str | None:
    if value is None:
        return None
    response = as_text(_text_or_none(value, where), where)
    if not response.strip():
        raise BadInput(f"{where}: an empty response: fill it in, or leave the record out")
    return response


def _text_or_none(value: Any, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{where}: expected text, found {value!r:.40}: mend the source")
    return value


def with_listed_labels(
    settings: TableSettings, values: Mapping[str, Any], where: str
) -> Mapping[str, Any]:
    """Return a row of a table of texts, in which labels have spaces between, with a list of them.

    Args:
        settings: they name the column.
        values: a row by column.
        where: the file and row, for messages.

    Raises:
        BadInput: there is something else than spaces between.
    """
    column = (settings.targets or {}).get("labels")
    if not isinstance(column, str):
        return values
    if BETWEEN_LABELS & {*values[column]}:
        raise BadInput(
            f"{where}: column {column!r} (setting targets.labels): expected labels with spaces "
            f"between, found {values[column]!r:.40}: mend the source"
        )
    return {**values, column: values[column].split()}


def _as_labels(value: Any, where: str, column: str) -> list[str] | None:
    if isinstance(value, str):
        raise BadInput(
            f"{where}: expected a list of texts, found {value!r:.40}: write a list, or targets: "
            f"{{labels: [{column}]}} where it is one label"
        )
    texts = _as_texts(value, where)
    return None if texts is None else _once_each(texts)


def _once_each(labels: Iterable[str]) -> list[str]:
    """Return labels without the blanks around them, which make no other label."""
    named = (label.strip() for label in labels)
    return list(dict.fromkeys(label for label in named if label))


def _as_texts(value: Any, where: str) -> list[str] | None:
    if value is None:
        return None
    texts = value.split() if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise BadInput(f"{where}: expected a list of texts, found {value!r:.40}: mend the source")
    if any(not one.strip() for one in texts):
        raise BadInput(f"{where}: an empty text in the list: leave it out, and its tag")
    as_text(" ".join(texts), where)
    return texts


def _check_tags(found: Mapping[str, Target | None], where: str) -> None:
    tokens, tags = found.get("tokens"), found.get("tags")
    if isinstance(tokens, list) and isinstance(tags, list) and len(tokens) != len(tags):
        raise BadInput(
            f"{where} has {len(tokens)} tokens and {len(tags)} tags: one tag for each token"
        )


def text_of(tokens: Any, where: str) -> str:
    """Return the text that tokens make, with a space between two.

    Raises:
        BadInput: it is absurdly long.
    """
    text = " ".join(tokens or ())
    if len(text) > MAXIMUM_VALUE_BYTES:
        raise BadInput(f"{where}: a text of {len(text):,} characters: split it")
    return text
