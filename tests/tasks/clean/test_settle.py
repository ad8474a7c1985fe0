"""What is decided over all records: near-duplicates, rare classes."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

Clean = Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]

TEXT = "the quick brown fox jumps over the lazy dog and runs away from all of them at once today"
NEAR = TEXT.replace("today", "tonight")


def counted(report: dict[str, Any]) -> dict[str, int]:
    return {reason: count for reason, count in report["dropped"].items() if count}


def test_of_texts_that_are_nearly_the_same_the_longest_stays(clean: Clean) -> None:
    found = [{"text": TEXT, "label": "x"}, {"text": "other"}, {"text": NEAR, "label": "x"}]
    records, report = clean(found, near_duplicates={"similarity": 0.8})
    assert [record["text"] for record in records] == ["other", NEAR]
    assert counted(report) == {"near_duplicate": 1}
    assert report["examples"]["near_duplicate"] == [
        {"source": "files:a", "row": 1, "of": {"source": "files:a", "row": 3}}
    ]
    assert report["near_duplicates"] == {"clusters": 1, "clusters_of_several_labels": 0}
    assert len(clean(found)[0]) == 3


def test_what_only_this_corpus_has_stays_beside_its_record(clean: Clean) -> None:
    found = [{"text": text, "author": author} for text, author in ((TEXT, "Anna"), (NEAR, "Bo"))]
    records, _ = clean(found, near_duplicates={})
    assert [record["author"] for record in records] == ["Bo"]


def test_near_duplicates_of_another_class_or_an_official_test_split_stay(clean: Clean) -> None:
    classes = [{"text": TEXT, "label": "x"}, {"text": NEAR, "label": "y"}]
    records, report = clean(classes, near_duplicates={})
    assert len(records) == 2
    assert report["near_duplicates"] == {"clusters": 1, "clusters_of_several_labels": 1}
    tested = [{"text": text, "label": "x", "split": "test"} for text in (TEXT, NEAR)]
    train = [{"text": text, "label": "x", "split": "train"} for text in (TEXT, NEAR)]
    records, report = clean([*tested, *train], near_duplicates={})
    assert [(record["split"], record["text"]) for record in records] == [
        ("test", TEXT), ("test", NEAR), ("train", NEAR),
    ]  # fmt: skip


def scribble(seed: int) -> Image.Image:
    """Return an image of smooth patches, another for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return Image.fromarray(patches).resize((48, 48), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_images_that_look_alike_and_blank_ones_are_dropped(clean: Clean) -> None:
    first, second = scribble(1), scribble(2)
    found = [
        {"image": encoded(first), "label": "x"},
        {"image": encoded(second), "label": "x"},
        {"image": encoded(first, "JPEG", quality=60), "label": "x"},
        {"image": encoded(Image.new("L", (48, 48), 250)), "label": "x"},
        {"image": encoded(Image.new("L", (48, 48), 3)), "label": "x", "split": "test"},
    ]
    records, report = clean(found, "image", near_duplicates={}, blank=5)
    assert len(records) == 3
    assert counted(report) == {"blank": 1, "near_duplicate": 1}
    assert records[-1]["split"] == "test"
    assert counted(clean(found, "image")[1]) == {}


RARE = [{"text": f"a{number}", "label": "big"} for number in range(4)] + [
    {"text": "b", "label": "small"},
    {"text": "c", "label": None},
]


def test_rare_classes_are_dropped(clean: Clean) -> None:
    records, report = clean(RARE, rare_classes={"fewer_than": 3})
    assert [record["label"] for record in records] == ["big"] * 4 + [None]
    assert counted(report) == {"rare_class": 1}
    assert report["rare_classes"] == {"then": "drop", "classes": {"small": 1}}


def test_rare_classes_become_one(clean: Clean) -> None:
    records, report = clean(RARE, rare_classes={"fewer_than": 3, "then": "other"})
    assert [record["label"] for record in records] == ["big"] * 4 + ["other", None]
    assert report["changed"] == {"rare_class": 1}
    assert report["changed_examples"] == {"rare_class": [{"source": "files:a", "row": 5}]}


def test_rare_classes_are_told_and_stay(clean: Clean) -> None:
    records, report = clean(RARE, rare_classes={"fewer_than": 3, "then": "keep"})
    assert len(records) == 6
    assert report["rare_classes"] == {"then": "keep", "classes": {"small": 1}}


def test_an_official_test_split_keeps_its_rare_classes(clean: Clean) -> None:
    found = [*({**record, "split": "train"} for record in RARE),
             {"text": "d", "label": "small", "split": "test"}]  # fmt: skip
    records, _ = clean(found, rare_classes={"fewer_than": 3, "then": "drop"})
    assert [record["label"] for record in records if record["split"] == "test"] == ["small"]


@pytest.mark.parametrize("then", ["drop", "other"])
def test_classes_that_stay_in_the_official_test_split_alone_are_named(
    clean: Clean, then: str
) -> None:
    found = [*({**record, "split": "train"} for record in RARE),
             {"text": "d", "label": "small", "split": "test"},
             {"text": "e", "label": "small", "split": "test"},
             {"text": "f", "label": "big", "split": "test"}]  # fmt: skip
    _, report = clean(found, rare_classes={"fewer_than": 3, "then": then})
    assert report["rare_classes"] == {
        "then": then, "classes": {"small": 1}, "in_test_alone": {"small": 2},
    }  # fmt: skip
    _, report = clean(found, rare_classes={"fewer_than": 3, "then": "keep"})
    assert report["rare_classes"] == {"then": "keep", "classes": {"small": 1}}


def test_a_class_is_rare_by_what_near_duplicates_leave(clean: Clean) -> None:
    found = [{"text": text, "label": "x"} for text in (TEXT, NEAR)]
    found += [{"text": f"word{number}", "label": "y"} for number in range(2)]
    records, report = clean(found, near_duplicates={}, rare_classes={"fewer_than": 2})
    assert {record["label"] for record in records} == {"y"}
    assert counted(report) == {"near_duplicate": 1, "rare_class": 1}


def test_nothing_is_left_where_every_record_is_of_a_rare_class(clean: Clean) -> None:
    with pytest.raises(Exception, match=r"no record is left after cleaning: .*'rare_class': 1"):
        clean([{"text": "a", "label": "x"}], rare_classes={})
