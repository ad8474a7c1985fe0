"""Texts of other languages, among real ones in English."""

import csv
from pathlib import Path
from typing import Any

import pytest

from tasks.clean.rules.languages import is_other_language
from tasks.clean.settings import Languages
from tasks.errors import BadSettings

DATA = Path(__file__).parents[3] / "data"
SAMPLE = DATA / "reuters-sample.csv"
# From the Universal Declaration of Human Rights, in sixteen languages, none of them English.
OTHERS = (DATA / "human-rights.txt").read_text(encoding="utf-8").splitlines()


def english() -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def test_other_languages_are_found_and_english_stays() -> None:
    settings = Languages(keep=["en"])
    found = sum(is_other_language(text, settings) for text in OTHERS)
    wrong = sum(is_other_language(text, settings) for text in english())
    assert found / len(OTHERS) >= 0.95  # recall
    assert found / (found + wrong) >= 0.95  # precision


def test_short_texts_stay_since_their_language_cannot_be_told() -> None:
    assert not is_other_language("Jeder hat das Recht", Languages(keep=["en"]))
    assert is_other_language("Jeder hat das Recht", Languages(keep=["en"], minimum_characters=5))


def test_an_unknown_language_is_named_with_what_is_known() -> None:
    with pytest.raises(BadSettings, match=r"^clean\.languages\.keep: no language 'deu'; allowed: "):
        is_other_language("a" * 60, Languages(keep=["en", "deu"]))


def test_dropped_texts_are_counted(clean: Any) -> None:
    found = [{"text": text, "split": split} for text in OTHERS[:2] for split in ("train", "test")]
    records, report = clean(found, languages={"keep": ["fr", "en"]})
    assert [record["split"] for record in records] == ["test", "test"]
    assert report["dropped"]["language"] == 2
