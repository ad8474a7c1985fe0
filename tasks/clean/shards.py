"""Records in shards, whose bounds follow from the records themselves.

    records     a b c d e f g h i j        n a b c d e f g h i j        n was added
    shards     |a b c|d e f g|h i j|      |n a b c|d e f g|h i j|       one is new

A shard ends behind a record whose hash says so. Bounds by counting would all move when a record is
added before them; these move near it alone, so all other shards stay the same, and what became of
them is known (``shard_work``). A shard is told apart by all that decides what becomes of its
records: content, label and official split. Where they come from does not, and their rows there
change with every record that is added before.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.clean.one_record import (
    Cleaned,
    clean_image_record,
    clean_label,
    clean_pair,
    clean_text_record,
)
from tasks.clean.repeated import PROTECTED
from tasks.clean.settings import Settings
from tasks.clean.text import is_plain
from tasks.contracts.records import Modality, modality_of
from tasks.corpora.columns import PAIR, is_of_pairs

AVERAGE_BYTES = 2**18
"""Of a shard, of which each record takes ``BYTES_OF_A_RECORD`` beside its content."""
LEAST_BYTES = AVERAGE_BYTES // 4
MOST_BYTES = AVERAGE_BYTES * 4
BYTES_OF_A_RECORD = 64
_HASHES = 2**32


def cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield records shard by shard, in their order; how they were batched does not matter."""
    pending: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        start = 0
        for place, (num_bytes, may_end) in enumerate(_sizes_and_ends(batch)):
            size += num_bytes
            if (may_end and size >= LEAST_BYTES) or size >= MOST_BYTES:
                yield _joined([*pending, batch.slice(start, place + 1 - start)])
                pending, size, start = [], 0, place + 1
        if start < batch.num_rows:
            pending.append(batch.slice(start))
    if pending:
        yield _joined(pending)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(batches) if len(batches) > 1 else batches[0]


def _sizes_and_ends(batch: pa.RecordBatch) -> Iterator[tuple[int, bool]]:
    """Yield the bytes of each record, and whether a shard may end behind it.

    The larger a record, the more hashes let one end there: shards have about as many bytes each,
    whatever the records have.
    """
    lengths, content = _parts(batch.column(modality_of(batch.schema)))
    ends = np.concatenate(([0], np.cumsum(np.maximum(lengths, 0), dtype=np.int64))).tolist()
    for start, end in pairwise(ends):
        num_bytes = end - start + BYTES_OF_A_RECORD
        hashed = zlib.crc32(content[start:end])
        yield num_bytes, hashed * AVERAGE_BYTES < num_bytes * _HASHES


def _parts(column: pa.Array) -> tuple[np.ndarray, memoryview]:
    """Return the bytes of each value, -1 where it is null, and all values one after another."""
    _, bounds, content = column.buffers()
    if not len(column):
        return np.zeros(0, np.int32), memoryview(b"")
    ends = np.frombuffer(bounds, np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(ends)
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    if lengths[is_null].any():  # what lies under a null is nothing that was found
        return _parts(pa.array(column.to_pylist(), column.type))
    lengths[is_null] = -1
    return lengths, memoryview(content or b"")[int(ends[0]) : int(ends[-1])]


def identity_of(shard: pa.RecordBatch) -> str:
    """Return the sha256 (hex) of all that decides what becomes of a shard's records."""
    modality = modality_of(shard.schema)
    digest = hashlib.sha256(f"{modality} {shard.num_rows}\n".encode())
    others = [PAIR] if is_of_pairs(shard.schema) else []
    for name in (modality, "label", "split", *others):
        lengths, content = _parts(shard.column(name))
        digest.update(np.ascontiguousarray(lengths, np.int32).tobytes())
        digest.update(content)
    return digest.hexdigest()


def done_schema(found: pa.Schema) -> pa.Schema:
    """Return the columns of what became of a shard, a row a record.

    Args:
        found: the columns of the shard.
    """
    columns = {
        "id": pa.string(),
        # Null where it stays as it was found.
        "content": pa.string() if modality_of(found) == "text" else pa.binary(),
        "label": pa.string(),
        "reason": pa.string(),
        "changes": pa.list_(pa.string()),
        "form": pa.string(),
        # Of a text's signature, where near-duplicates are looked for and it has words; of an image,
        # its features.
        "bands": pa.binary(),
        **({PAIR: pa.string()} if is_of_pairs(found) else {}),
    }
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


def clean_shard(shard: pa.RecordBatch, settings: Settings) -> pa.Table:
    """Return what becomes of each record of a shard, by ``done_schema``.

    Args:
        shard: records as found.
        settings: how to clean.

    Raises:
        BadInput: an image cannot be decoded.
    """
    modality = modality_of(shard.schema)
    found, splits = shard.column(modality).to_pylist(), shard.column("split").to_pylist()
    records: list[Cleaned]
    if is_of_pairs(shard.schema):
        seconds = shard.column(PAIR).to_pylist()
        records = [
            clean_pair(text, second, split, settings)
            for text, second, split in zip(found, seconds, splits, strict=True)
        ]
    elif modality == "text":
        plain = is_plain(*_parts(shard.column(modality))).tolist()
        records = [
            clean_text_record(text, split, settings, is_plain=needs_nothing)
            for text, split, needs_nothing in zip(found, splits, plain, strict=True)
        ]
    else:
        sources, rows = shard.column("source").to_pylist(), shard.column("row").to_pylist()
        records = [
            clean_image_record(image, split, f"{source}, row {row}", settings)
            for image, split, source, row in zip(found, splits, sources, rows, strict=True)
        ]
    labels = shard.column("label").to_pylist()
    cleaned_labels = {label: clean_label(label, settings) for label in set(labels)}
    contents = [
        None if record.reason is not None or record.content == was else record.content
        for record, was in zip(records, found, strict=True)
    ]
    columns = {
        "id": [record.id for record in records],
        "content": contents,
        "label": [cleaned_labels[label] for label in labels],
        "reason": [record.reason for record in records],
        "changes": [record.changes or None for record in records],
        "form": [record.form for record in records],
        "bands": _bands(records, splits, settings, modality),
        PAIR: [record.text_b for record in records],
    }
    schema = done_schema(shard.schema)
    return pa.Table.from_pydict({name: columns[name] for name in schema.names}, schema=schema)


def _bands(
    records: list[Cleaned], splits: list[str | None], settings: Settings, modality: Modality
) -> list[bytes | None]:
    """Return what finds near-duplicates of each record that a rule may drop.

    Args:
        records: what they became.
        splits: their official splits.
        settings: how to clean.
        modality: what they are.
    """
    bands: list[bytes | None] = [None] * len(records)
    if settings.near_duplicates is None:
        return bands
    from tasks.clean.near_duplicates import bands_of, features_of

    compared = [
        place
        for place, (record, split) in enumerate(zip(records, splits, strict=True))
        if record.reason is None and split != PROTECTED
    ]
    contents: list[Any] = [records[place].content for place in compared]
    made = (
        features_of(contents)
        if modality == "image"
        else bands_of(contents, settings.near_duplicates)
    )
    for place, found in zip(compared, made, strict=True):
        bands[place] = found
    return bands
