"""Records in, cleaned records and a count of the others out."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.contracts.records import cleaned_schema
from tasks.errors import BadInput, BadSettings

Clean = Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (2, 2), shade).save(file, format="PNG")
    return file.getvalue()


def test_a_text_is_cleaned_and_named_by_its_content(clean: Clean, tmp_path: Path) -> None:
    records, _ = clean([{"text": " 好  吃 ", "label": " 好评 ", "split": "train"}])
    assert records == [
        {
            "id": hashlib.sha256("好 吃".encode()).hexdigest(),
            "text": "好 吃",
            "label": "好评",
            "split": "train",
            "source": "files:a",
            "row": 1,
        }
    ]
    assert pq.read_schema(tmp_path / "clean" / "records.parquet") == cleaned_schema("text")


def test_empty_and_repeated_texts_are_dropped_and_counted(clean: Clean) -> None:
    records, report = clean(
        [
            {"text": "a", "label": "x"},
            {"text": None, "label": "x"},
            {"text": " \x00", "label": "x"},
            {"text": "a ", "label": "x"},
            {"text": "a", "label": "y"},
            {"text": "b", "label": "x"},
        ]
    )
    assert [(record["text"], record["row"]) for record in records] == [("a", 1), ("b", 6)]
    assert (report["records_in"], report["records_out"]) == (6, 2)
    assert {reason: count for reason, count in report["dropped"].items() if count} == {
        "empty": 2,
        "duplicate": 1,
        "duplicate_other_label": 1,
    }
    assert report["examples"]["duplicate"] == [{"source": "files:a", "row": 4}]


def test_a_record_of_two_official_splits_stays_in_both(clean: Clean) -> None:
    records, report = clean([{"text": "a", "split": "train"}, {"text": "a", "split": "test"}])
    assert [record["split"] for record in records] == ["train", "test"]
    assert records[0]["id"] == records[1]["id"]
    assert report["records_out"] == 2


def test_labels_are_not_part_of_the_id(clean: Clean) -> None:
    first, _ = clean([{"text": "a", "label": "x"}])
    second, _ = clean([{"text": "a", "label": "y"}])
    assert first[0]["id"] == second[0]["id"]


def test_an_empty_label_is_none(clean: Clean) -> None:
    records, _ = clean([{"text": "a", "label": " "}])
    assert records[0]["label"] is None


def test_images_are_cleaned_named_and_counted(clean: Clean) -> None:
    found = [{"image": picture(1)}, {"image": picture(2)}, {"image": picture(1)}, {"image": b""}]
    records, report = clean(found, "image")
    assert [record["row"] for record in records] == [1, 2]
    assert (report["dropped"]["duplicate"], report["dropped"]["empty"]) == (1, 1)
    assert records[0]["id"] == hashlib.sha256(b"L 2x2\n" + bytes([1] * 4)).hexdigest()


def test_an_image_corpus_refuses_settings_of_texts(clean: Clean, tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as error:
        clean(
            [{"image": picture(1)}],
            "image",
            boilerplate="remove",
            personal_data=["email"],
            languages={"keep": ["en"]},
            quality={"minimum_words": 2},
            maximum_characters=9,
            near_duplicates={"distance": 3, "similarity": 0.9},
        )
    assert str(error.value) == (
        f"{tmp_path / 'collected.parquet'} holds images, and these settings are of texts: "
        "clean.maximum_characters, clean.boilerplate, clean.personal_data, clean.languages, "
        "clean.quality, clean.near_duplicates.similarity: drop them"
    )


def test_a_text_corpus_refuses_settings_of_images(clean: Clean) -> None:
    found = [{"text": "a"}]
    with pytest.raises(
        BadSettings,
        match=r" holds texts, .* of images: clean\.blank, clean\.near_duplicates\.distance: drop",
    ):
        clean(found, blank=5, near_duplicates={"distance": 3})
    with pytest.raises(BadSettings, match=r": clean\.mode, clean\.size: drop them$"):
        clean(found, mode="L", size=[8, 8])


def test_settings_of_either_modality_are_taken(clean: Clean) -> None:
    settings: dict[str, Any] = {"label_conflicts": "drop", "normalize": "NFKC"}
    texts, images = {"similarity": 0.9}, {"distance": 3}
    assert len(clean([{"text": "a"}], **settings, near_duplicates=texts)[0]) == 1
    assert len(clean([{"image": picture(1)}], "image", **settings, near_duplicates=images)[0]) == 1


def test_a_corrupt_image_fails_the_stage(clean: Clean) -> None:
    with pytest.raises(BadInput, match=r"^files:a, row 2 is not an image that can be decoded"):
        clean([{"image": picture(1)}, {"image": b"\x89PNG"}], "image")


def test_more_records_than_a_batch_are_compared_with_each_other(clean: Clean) -> None:
    records, report = clean([{"text": f"text {number % 11_000}"} for number in range(22_000)])
    assert len(records) == 11_000
    assert report["dropped"]["duplicate"] == 11_000


def test_a_corpus_of_which_nothing_is_left_is_refused(clean: Clean) -> None:
    with pytest.raises(BadInput, match=r"no record is left after cleaning: .*'empty': 2"):
        clean([{"text": ""}, {"text": " "}])


def test_equal_records_give_equal_bytes(clean: Clean, tmp_path: Path) -> None:
    clean([{"text": "a"}, {"text": "b"}])
    output = tmp_path / "clean"
    first = [path.read_bytes() for path in sorted(output.iterdir())]
    clean([{"text": "a"}, {"text": "b"}])
    assert [path.read_bytes() for path in sorted(output.iterdir())] == first


def test_columns_that_only_this_corpus_has_are_handed_on(clean: Clean) -> None:
    records = [{"text": "a", "author": "Anna "}, {"text": "a", "author": "Bo"}, {"text": "b"}]
    kept, _ = clean(records)
    assert [(record["text"], record["author"]) for record in kept] == [("a", "Anna "), ("b", None)]
    assert list(kept[0])[-1] == "author"


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


CORRECTED = [
    {"text": " wrong  one", "label": "x"},
    {"text": "wrong one", "label": "y"},
    {"text": "right", "label": "x"},
    {"text": "in test", "label": "x", "split": "test"},
]
CORRECTIONS = {
    identity("wrong one"): " y ",
    identity("right"): "x",
    identity("in test"): "y",
    identity("gone"): "y",
}


def test_a_corrected_label_settles_a_conflict_and_test_keeps_its_labels(clean: Clean) -> None:
    kept, report = clean(CORRECTED, corrections=CORRECTIONS)
    assert [(record["text"], record["label"]) for record in kept] == [
        ("wrong one", "y"),
        ("right", "x"),
        ("in test", "x"),
    ]
    assert report["corrections"] == {
        "applied": 1,
        "already_so": 2,
        "kept_in_test": 1,
        "no_such_record": 1,
    }
    assert report["dropped"]["duplicate"] == 1


def test_without_corrections_the_report_is_as_it_was(clean: Clean) -> None:
    _, report = clean(CORRECTED)
    assert "corrections" not in report
