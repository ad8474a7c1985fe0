"""The pages of Parquet files, held against what pyarrow says of its own files."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.collect.sources._parquet_pages import Page, pages

TABLE = pa.table(
    {"text": [f"text {number % 50}" for number in range(3_000)], "label": ["x", "y", None] * 1_000}
)


def written(**options: Any) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(TABLE, file, data_page_size=2_000, **options)
    return file


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("group_rows", [None, 700])
def test_their_sizes_add_up_to_the_footers(
    compression: str, version: str, use_dictionary: bool, group_rows: int | None
) -> None:
    file = written(
        compression=compression,
        data_page_version=version,
        use_dictionary=use_dictionary,
        row_group_size=group_rows,
    )
    metadata = pq.ParquetFile(file).metadata
    num_groups = 1 if group_rows is None else 5
    assert metadata.num_row_groups == num_groups
    for number in range(2):
        found = list(pages(file, {number}))
        chunks = [metadata.row_group(group).column(number) for group in range(num_groups)]
        claimed = sum(chunk.total_uncompressed_size for chunk in chunks)
        unpacked = sum(page.unpacked_bytes for page in found)
        # The footer counts the pages' headers too.
        assert 0 < claimed - unpacked < 100 * len(found)
        dictionaries = [page for page in found if page.shares_bytes]
        assert len(dictionaries) == (num_groups if use_dictionary else 0)


def test_the_dictionary_comes_first() -> None:
    file = written(compression="none")
    assert next(pages(file, {1})) == Page(shares_bytes=True, unpacked_bytes=10)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_values_kept_by_their_differences_share_bytes(version: str) -> None:
    encoding: dict[str, Any] = {"column_encoding": {"text": "DELTA_BYTE_ARRAY", "label": "PLAIN"}}
    file = written(use_dictionary=False, data_page_version=version, **encoding)
    assert {page.shares_bytes for page in pages(file, {0})} == {True}
    assert {page.shares_bytes for page in pages(file, {1})} == {False}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1\x00\x00\x00\x00PAR1",
        b"PAR1\x00\x01\x00\x00\x00PAR1",
        b"PAR1\x19\x01\x00\x00\x00PAR1",
        b"\xff\xff\xff\xffPAR1",
        b"PAR1" + b"\x1c" * 100 + b"\x64\x00\x00\x00PAR1",
        b"PAR1" + b"\x19\xfc\xff\xff\xff\xff\x0f" + b"\x07\x00\x00\x00PAR1",
    ],
)
def test_what_is_no_parquet_file_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        list(pages(io.BytesIO(content), {0}))


def test_a_page_without_a_header_is_a_value_error() -> None:
    content = bytearray(written().getvalue())
    content[4:40] = b"\xff" * 36
    with pytest.raises(ValueError, match=r"no end|type"):
        list(pages(io.BytesIO(content), {0}))
