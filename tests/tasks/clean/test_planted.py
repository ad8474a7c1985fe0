"""Faults of every default kind, planted in real texts: found, and nothing else is touched."""

import csv
import random
from collections.abc import Callable
from typing import Any

from tasks.clean.settings import Settings
from tasks.clean.text import clean_text
from tests.workspace import ROOT

Clean = Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]
ACCENTED = (ROOT / "tests" / "data" / "human-rights.txt").read_text(encoding="utf-8").splitlines()


def english() -> list[dict[str, Any]]:
    path = ROOT / "tests" / "data" / "reuters-sample.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["text"]: row["label"] for row in csv.DictReader(file)}
    return [{"text": text, "label": label} for text, label in rows.items()]


def decoded_wrongly(text: str) -> str:
    """Return what a program shows that takes UTF-8 for the encoding of Western Windows."""
    return text.encode().decode("cp1252", errors="ignore")


def test_wrong_decodings_are_repaired_and_sound_texts_stay() -> None:
    settings = Settings()
    repairable = [text for text in ACCENTED if _survives(text) and not text.isascii()]
    assert len(repairable) >= 10
    found = sum(clean_text(decoded_wrongly(text), settings) == text for text in repairable)
    sound = [*ACCENTED, *(record["text"] for record in english())]
    wrong = sum(clean_text(text, settings) != " ".join(text.split()) for text in sound)
    assert found / len(repairable) >= 0.95  # recall
    assert found / (found + wrong) >= 0.95  # precision


def _survives(text: str) -> bool:
    """Tell texts of which a wrong decoding loses nothing."""
    return decoded_wrongly(text).encode("cp1252") == text.encode()


def test_labels_that_contradict_the_majority_are_dropped(clean: Clean) -> None:
    draw = random.Random(0)  # noqa: S311
    records = english()
    labels = sorted({record["label"] for record in records})
    planted = [record for record in records if draw.random() < 0.2]
    found = [*records, *records]
    for record in planted:
        other = draw.choice([label for label in labels if label != record["label"]])
        found.append({"text": record["text"], "label": other})
    draw.shuffle(found)
    kept, report = clean(found)
    assert {record["text"]: record["label"] for record in kept} == {
        record["text"]: record["label"] for record in records
    }
    assert report["dropped"]["duplicate_other_label"] == len(planted)
    assert report["dropped"]["duplicate"] == len(records)


def test_word_swaps_are_found_among_real_texts(clean: Clean) -> None:
    records = [record for record in english() if len(record["text"].split()) >= 40]
    others = english()
    swapped = []
    for record in records:
        words = record["text"].split()
        words[len(words) // 2] = "swapped"
        swapped.append({"text": " ".join(words), "label": record["label"]})
    _, before = clean(others, near_duplicates={"similarity": 0.8})
    _, after = clean([*others, *swapped], near_duplicates={"similarity": 0.8})
    found = after["dropped"]["near_duplicate"] - before["dropped"]["near_duplicate"]
    assert found / len(swapped) >= 0.95
    assert before["dropped"]["near_duplicate"] <= 0.05 * len(others)
