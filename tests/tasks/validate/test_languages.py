"""The share of each split's texts in the languages that are expected."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.contracts.files import read_json
from tasks.errors import BadSettings, ValidationFailed

if TYPE_CHECKING:
    from tests.tasks.validate.conftest import Splits

OTHERS = (Path(__file__).parents[2] / "data" / "human-rights.txt").read_text("utf-8").splitlines()
ENGLISH = "everyone has the right to freedom of thought, conscience and religion, number"


def test_a_split_in_other_languages_is_refused_with_its_languages(splits: "Splits") -> None:
    wanted = {"languages": {"expected": ["en"]}}
    for part in ("train", "validation", "test"):
        rows = [(f"{ENGLISH} {part} {row}", "xy"[row % 2]) for row in range(20)]
        splits.write(**{part: rows})
    splits.run(**wanted)
    assert splits.metrics["languages"] == {"train": 1.0, "validation": 1.0, "test": 1.0}
    foreign = [text for text in OTHERS if len(text) >= 50][:10]
    splits.write(test=[*rows[:10], *((text, "x") for text in foreign)])
    with pytest.raises(ValidationFailed) as error:
        splits.run(**wanted, maximum_class_drift=1.0)
    assert str(error.value).splitlines()[1] == (
        "share of a split's texts in en: 1 (test 0.5), expected at least 0.95 -> "
        "languages.minimum_share, or clean.languages, which drops the others"
    )
    (test,) = [
        row for row in read_json(splits.kept)["facts"]["languages"] if row["split"] == "test"
    ]
    assert (test["texts"], sum(count for _, count in test["others"]) >= 5) == (20, True)


def test_texts_too_short_to_tell_do_not_count(splits: "Splits") -> None:
    result = splits.run(languages={"expected": ["en"]})
    assert {row["texts"] for row in result["facts"]["languages"]} == {0}


def test_an_unknown_language_is_named(splits: "Splits") -> None:
    with pytest.raises(BadSettings, match=r"validate\.languages\.expected: no language 'eng'"):
        splits.run(languages={"expected": ["eng"]})
