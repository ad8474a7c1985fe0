"""The faults that cleaning is measured on."""

import random
from typing import Any

from benchmarks.cleaning import identity_of, plant, with_labels
from tasks.duplicates.text import clusters

WORDS = [f"word{number}" for number in range(400)]


def records() -> list[dict[str, Any]]:
    draw = random.Random(0)  # noqa: S311
    return [
        {
            "text": " ".join(draw.choices(WORDS, k=80)),
            "label": f"class{number % 4}",
            "split": "test" if number < 50 else "train",
            "source": "a",
            "row": number,
        }
        for number in range(250)
    ]


def test_so_many_near_duplicates_and_wrong_labels_are_planted_and_none_in_test() -> None:
    found = records()
    planted = plant(found, random.Random(1))  # noqa: S311
    assert planted[:50] == found[:50]
    assert len(planted) == 250 + 40  # a fifth of 200
    wrong = [record for record in planted if "given" in record]
    assert len(wrong) == 12  # one in twenty of 240
    assert all(record["given"] != record["label"] for record in wrong)
    assert [record["label"] for record in with_labels(wrong)] == [one["given"] for one in wrong]
    near = clusters([record["text"] for record in planted], similarity=0.8)
    assert (near[250:] < 250).all()


def test_a_record_is_known_by_the_id_that_clean_gives() -> None:
    assert identity_of("a").startswith("ca978112")
