"""Where shards end, and what tells them apart."""

import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tasks.clean import shards
from tasks.clean.settings import Settings
from tasks.clean.shards import clean_shard, cut, identity_of
from tasks.contracts.records import collected_schema

SCHEMA = collected_schema("text")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AVERAGE_BYTES", "LEAST_BYTES", "MOST_BYTES"):
        monkeypatch.setattr(shards, name, getattr(shards, name) // 32)


def texts(number: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)  # noqa: S311
    return [f"{draw.getrandbits(200):x}" for _ in range(number)]


def batch(found: list[str | None], **columns: Any) -> pa.RecordBatch:
    rows = [
        {"text": text, "source": "files:a", "row": row, **columns}
        for row, text in enumerate(found, start=1)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def identities(found: list[str]) -> list[str]:
    return [identity_of(shard) for shard in cut([batch(list(found))])]


def test_every_record_is_in_one_shard_in_its_order_however_they_are_batched() -> None:
    whole = batch(list(texts(2_000)))

    def pieces() -> Iterator[pa.RecordBatch]:
        for start in range(0, 2_000, 37):
            yield whole.slice(start, 37)

    found = list(cut(pieces()))
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([whole]))
    assert [shard.num_rows for shard in found] == [shard.num_rows for shard in cut([whole])]
    assert [identity_of(shard) for shard in found] == identities(texts(2_000))


@pytest.mark.parametrize("place", [0, 7_000, 20_000])
def test_one_percent_more_records_touch_about_one_percent_of_the_shards(place: int) -> None:
    before = texts(20_000)
    after = [*before[:place], *texts(200, seed=1), *before[place:]]
    known, now = set(identities(before)), identities(after)
    assert len(now) > 200
    assert sum(identity not in known for identity in now) / len(now) <= 0.025


def test_a_record_added_before_all_others_or_taken_away_touches_two_shards_at_most() -> None:
    before = texts(5_000)
    known = set(identities(before))
    for after in (["new", *before], before[1:], [*before[:99], "edited", *before[100:]]):
        assert sum(identity not in known for identity in identities(after)) <= 2


def test_equal_records_are_cut_by_their_size() -> None:
    sizes = {shard.num_rows for shard in cut([batch(["same"] * 5_000)])}
    assert 1 not in sizes
    assert max(sizes) < 1_000


def test_what_decides_of_a_record_tells_shards_apart_and_where_it_is_from_does_not() -> None:
    def identity(found: list[str | None], **columns: Any) -> str:
        return identity_of(batch(found, **columns))

    same = identity(["a", "b"])
    assert identity(["a", "b"], source="files:b", row=9) == same
    different = [
        identity(["ab", ""]),
        identity(["", "ab"]),
        identity(["ab", None]),
        identity(["b", "a"]),
        identity(["a", "b"], label="x"),
        identity(["a", "b"], split="x"),
        identity(["a", "b"], label=""),
        identity(["a"]),
    ]
    assert len({same, *different}) == 1 + len(different)


def test_what_lies_under_a_null_does_not_count() -> None:
    column = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"),
                         pa.py_buffer(b"ab")]
    )  # fmt: skip
    hidden = batch(["a", None]).set_column(0, SCHEMA.field("text"), column)
    assert hidden.column("text").to_pylist() == ["a", None]
    assert identity_of(hidden) == identity_of(batch(["a", None]))


def test_a_text_is_stored_only_where_it_changed() -> None:
    done = clean_shard(batch(["a b", "a  b", " ", None], label=" x "), Settings())
    assert done.column("content").to_pylist() == [None, "a b", None, None]
    assert done.column("reason").to_pylist() == [None, None, "empty", "empty"]
    assert done.column("label").to_pylist() == ["x"] * 4
