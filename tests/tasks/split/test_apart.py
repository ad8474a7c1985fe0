"""What belongs together is in one split, and nobody is moved to keep it so."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.contracts.records import cleaned_schema, write_records
from tasks.duplicates.text import clusters
from tasks.split.apart import LEFT_OUT, kept_apart
from tasks.split.settings import Settings
from tasks.split.stage import assign_all
from tests.tasks.duplicates.test_images import altered, encoded, scene

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split

Given = list[tuple[str, str | None, str | None]]


def text_of(topic: int, changed: int = 0) -> str:
    """Return one of many texts of 40 words; with another ``changed``, one word of it differs."""
    words = [f"word{topic}x{place}" for place in range(40)]
    return " ".join([*words, f"end{changed}"])


BASE: Given = [(text_of(topic), "ab"[topic % 2], None) for topic in range(80)]
ASKED = {"near_duplicates": {"similarity": 0.8}}


def where(parts: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {record["text"]: part for part, records in parts.items() for record in records}


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 5)), max_size=30))
def test_one_split_keeps_its_records_and_an_official_one_all_of_them(
    records: list[tuple[int, bool, int]],
) -> None:
    parts = np.array([part for part, _, _ in records], dtype=np.int8)
    is_official = np.array([official and part > 0 for part, official, _ in records], dtype=bool)
    keys = np.array([key for _, _, key in records], dtype=np.int64)
    result = kept_apart(parts, is_official, keys)
    assert ((result == parts) | (result == LEFT_OUT)).all()
    for key in {*keys.tolist()}:
        assert len({*result[(keys == key) & (result != LEFT_OUT)].tolist()}) == 1
    assert (result[(parts == 2) & is_official] == 2).all()
    assert (kept_apart(result, is_official, keys) == result).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 79), st.integers(1, 3)), max_size=15, unique=True))
def test_near_duplicates_never_straddle_and_no_record_ever_moves(
    split: "Split", new: list[tuple[int, int]]
) -> None:
    added: Given = [(text_of(topic, changed), "a", None) for topic, changed in new]
    alone = where(split(BASE + added))
    together = where(split(BASE + added, **ASKED))
    assert together.items() <= alone.items()
    left_out = sum(split.report["near_duplicates"].values())
    assert len(together) + left_out == len(BASE) + len(added)
    texts = list(together)
    parts_of: dict[int, set[str]] = {}
    for text, cluster in zip(texts, clusters(texts, similarity=0.8).tolist(), strict=True):
        parts_of.setdefault(cluster, set()).add(together[text])
    assert all(len(parts) == 1 for parts in parts_of.values())


def test_pairs_are_near_duplicates_where_both_their_texts_are(split: "Split") -> None:
    records: Given = [(text_of(topic, n), "a", None) for topic in range(40) for n in range(3)]
    # Of each topic two pairs that are alike in both texts, and one that is so in the first alone.
    seconds = [text_of(100 + topic + 100 * (n == 2), n) for topic in range(40) for n in range(3)]
    columns = {"text_b": seconds}
    alone = where(split(records, columns=columns))
    together = where(split(records, columns=columns, **ASKED))
    straddling = 0
    for topic in range(40):
        first, second, other = (text_of(topic, n) for n in range(3))
        assert together[other] == alone[other]
        straddling += alone[first] != alone[second]
        assert (first in together) + (second in together) == 2 - (alone[first] != alone[second])
    assert straddling > 5
    assert sum(split.report["near_duplicates"].values()) == straddling


def test_a_near_duplicate_of_an_official_test_record_is_left_out_of_train(split: "Split") -> None:
    records: Given = [
        *((text, label, "train") for text, label, _ in BASE),
        (text_of(3, 1), "a", "test"),
        (text_of(4), "a", "test"),
    ]
    parts = where(split(records, **ASKED))
    assert parts[text_of(3, 1)] == "test"
    assert text_of(3) not in parts
    assert parts[text_of(4)] == "test"
    report = split.report["near_duplicates"]
    assert report["left_out_of_train"] + report["left_out_of_validation"] == 2
    assert report["left_out_of_test"] == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.permutations(BASE[:30] + [(text_of(topic, 1), "a", None) for topic in range(30)]))
def test_which_records_are_left_out_does_not_depend_on_their_order(
    split: "Split", shuffled: Given
) -> None:
    assert split(sorted(shuffled), **ASKED) == split(shuffled, **ASKED)


def test_images_that_look_alike_are_in_one_split(tmp_path: Path) -> None:
    scenes = [scene(seed) for seed in range(40)]
    contents = [encoded(image) for image in scenes]
    contents += [altered(image, number) for number, image in enumerate(scenes)]
    rows = [
        {"id": hashlib.sha256(image).hexdigest(), "image": image, "source": "a", "row": row}
        for row, image in enumerate(contents, start=1)
    ]
    path, schema = tmp_path / "records.parquet", cleaned_schema("image")
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    straddle = []
    for asked in ({}, {"near_duplicates": {}}):
        parts, _ = assign_all(path, Settings.parse(asked, "corpora.a.split"), 0)
        first, second = parts[:40], parts[40:]
        straddle.append(int(((first != second) & (first >= 0) & (second >= 0)).sum()))
    assert straddle[0] > 5
    assert straddle[1] == 0
    assert (parts >= 0).sum() >= 60


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.sets(st.tuples(st.integers(0, 79), st.integers(0, 3)), min_size=60, max_size=120),
    st.sets(st.tuples(st.integers(0, 79), st.integers(0, 3)), min_size=60, max_size=120),
)
def test_no_record_moves_to_another_split_whatever_is_added_edited_or_removed(
    split: "Split", before: set[tuple[int, int]], after: set[tuple[int, int]]
) -> None:
    first, second = (
        where(split(sorted((text_of(*key), "a", None) for key in keys), **ASKED))
        for keys in (before, after)
    )
    assert all(second[text] == part for text, part in first.items() if text in second)
