"""Contents of more than the 2 GiB that Arrow's offsets reach, or that memory has room for."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.clean.near_duplicates import as_arrays, bands_of, contents_of
from tasks.clean.settings import NearDuplicates
from tasks.contracts.records import ROWS_PER_GROUP, cleaned_schema, write_records

SETTINGS = NearDuplicates(similarity=0.8)


def test_bands_of_more_than_2_gib_are_read_chunk_by_chunk() -> None:
    first, last = bands_of(["one two three four"], SETTINGS), bands_of(["five six"], SETTINGS)
    # 2.25 GiB as Arrow counts them; all chunks but two share their memory.
    large = pa.array([b"x" * 2**24], pa.binary())
    bands = pa.chunked_array([pa.array(first), *[large] * 144, pa.array(last)], pa.binary())
    is_wanted = np.zeros(len(bands), dtype=bool)
    is_wanted[[0, -1]] = True
    found, has_words = as_arrays(bands, is_wanted, SETTINGS.similarity)
    assert [band.tobytes() for band in found] == [first[0], last[0]]
    assert has_words.tolist() == [True, True]


def test_a_text_without_words_has_no_bands() -> None:
    bands = pa.chunked_array([pa.array(bands_of(["?", "one two three"], SETTINGS), pa.binary())])
    found, has_words = as_arrays(bands, np.array([True, False]), SETTINGS.similarity)
    assert not found.any()
    assert has_words.tolist() == [False]


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
