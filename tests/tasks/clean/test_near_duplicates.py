"""What memory has no room for: bands of all texts, and all images."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.clean.near_duplicates import Compared, bands_of, contents_of
from tasks.contracts.records import ROWS_PER_GROUP, cleaned_schema, write_records
from tasks.duplicates.settings import NearDuplicatesSettings

SETTINGS = NearDuplicatesSettings(similarity=0.8)


def compared_of(*shards: list[str]) -> Compared:
    compared = Compared(SETTINGS, "text")
    for texts in shards:
        ids = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        bands = pa.chunked_array([pa.array(bands_of(texts, SETTINGS), pa.binary())])
        compared.add(pa.table({"id": ids, "text": texts}), bands)
    return compared


def test_bands_are_added_shard_by_shard_and_read_of_some_texts() -> None:
    bands = compared_of(["one two three four"], ["five six"]).bands
    assert bands is not None
    first, last = bands_of(["one two three four", "five six"], SETTINGS)
    the_last = bands.of(np.array([False, True]))
    every_band = range(bands.number)
    assert b"".join(the_last.read(n, np.array([True])).tobytes() for n in every_band) == last
    assert b"".join(bands.read(n, np.array([True, False])) for n in every_band) == first


def test_a_text_without_words_has_no_bands() -> None:
    compared = compared_of(["?", "one two thrée"])
    assert compared.bands is not None
    assert compared.bands.has_words().tolist() == [False, True]
    assert not compared.bands.read(0, np.array([True, False])).any()
    assert compared.sizes().tolist() == [1, 13]
    assert compared.ids()[0, 0] == int(hashlib.sha256(b"?").hexdigest()[:16], 16)


def test_images_are_read_a_batch_at_a_time(tmp_path: Path) -> None:
    path, schema = tmp_path / "records.parquet", cleaned_schema("image")
    one = {"id": "a", "label": None, "split": None, "source": "files:a", "row": 1}
    rows = [{**one, "image": b"%06d" % number * 50} for number in range(6 * ROWS_PER_GROUP)]
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    before = pa.total_allocated_bytes()
    is_wanted = np.arange(len(rows)) % 3 == 0
    contents = contents_of(path, is_wanted, "image")
    found, held = [], 0
    for content in contents:
        found.append(content)
        if len(found) % 1_000 == 1:
            held = max(held, pa.total_allocated_bytes() - before)
    assert found == [row["image"] for row in rows[::3]]
    assert held < sum(len(row["image"]) for row in rows) / 2
