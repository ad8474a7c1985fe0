"""What memory has no room for: bands of all texts, and all images."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.clean.near_duplicates import StandingBands, bands_of, contents_of
from tasks.clean.settings import NearDuplicates
from tasks.contracts.records import ROWS_PER_GROUP, cleaned_schema, write_records

SETTINGS = NearDuplicates(similarity=0.8)


def test_bands_are_added_shard_by_shard_and_read_of_some_texts() -> None:
    first, last = bands_of(["one two three four"], SETTINGS), bands_of(["five six"], SETTINGS)
    standing = StandingBands(SETTINGS)
    for bands in (first, last):
        standing.add(pa.chunked_array([pa.array(bands, pa.binary())]))
    everyone, the_last = standing.found, standing.found.of(np.array([False, True]))
    all_bands = range(everyone.number)
    assert b"".join(the_last.read(n, np.array([True])).tobytes() for n in all_bands) == last[0]
    assert b"".join(everyone.read(n, np.array([True, False])) for n in all_bands) == first[0]


def test_a_text_without_words_has_no_bands() -> None:
    standing = StandingBands(SETTINGS)
    standing.add(pa.array(bands_of(["?", "one two three"], SETTINGS), pa.binary()))
    assert standing.found.has_words().tolist() == [False, True]
    assert not standing.found.read(0, np.array([True, False])).any()


def test_images_are_read_a_batch_at_a_time(tmp_path: Path) -> None:
    path, schema = tmp_path / "records.parquet", cleaned_schema("image")
    one = {"id": "a", "label": None, "split": None, "source": "files:a", "row": 1}
    rows = [{**one, "image": b"%06d" % number * 50} for number in range(6 * ROWS_PER_GROUP)]
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    before = pa.total_allocated_bytes()
    is_wanted = np.arange(len(rows)) % 3 == 0
    contents = contents_of(path, is_wanted)
    found, held = [], 0
    for content in contents:
        found.append(content)
        if len(found) % 1_000 == 1:
            held = max(held, pa.total_allocated_bytes() - before)
    assert found == [row["image"] for row in rows[::3]]
    assert held < sum(len(row["image"]) for row in rows) / 2
