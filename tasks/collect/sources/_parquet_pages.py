"""How large the pages of a Parquet file are when unpacked, told before one is unpacked.

A page says so in its own header, which the reader believes when it takes memory for it; the sums
in the file's footer are nothing but a claim. So footer and headers are read here by themselves:
pyarrow gives no header, and a footer made to do harm ends its process where it is asked for its
columns. Both are Thrift's compact protocol: fields of a number and a type, the integers as zigzag
of variable length (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
and https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

_MAGIC = b"PAR1"
_MAXIMUM_FOOTER_BYTES = 32 * 2**20
# A header may hold the least and the largest value of its page.
_HEADER_BYTES = 4 * 2**10
_MAXIMUM_HEADER_BYTES = 64 * 2**20

# Fields that are read, by their numbers: of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData.
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_PACKED_TOTAL, _DATA_OFFSET, _DICTIONARY_OFFSET = 7, 9, 11
_PLACE: dict[int, Any] = {_PACKED_TOTAL: {}, _DATA_OFFSET: {}, _DICTIONARY_OFFSET: {}}
_FOOTER = {_ROW_GROUPS: {_COLUMNS: {_META_DATA: _PLACE}}}
# The same of PageHeader.
_TYPE, _UNPACKED, _PACKED, _DATA, _DATA_V2 = 1, 2, 3, 5, 8
_ENCODING, _ENCODING_V2 = 2, 4
_HEADER: dict[int, Any] = {
    **{number: {} for number in (_TYPE, _UNPACKED, _PACKED)},
    _DATA: {_ENCODING: {}},
    _DATA_V2: {_ENCODING_V2: {}},
}
_DICTIONARY = 2
# Of each value what it adds to the one before.
_DELTA_BYTE_ARRAY = 7


@dataclass(frozen=True)
class Page:
    """One page of a column.

    Attributes:
        shares_bytes: whether many values may be made of the same bytes: a dictionary, which the
            pages that follow name, or values of which only the differences are kept.
        unpacked_bytes: what the reader takes memory for.
    """

    shares_bytes: bool
    unpacked_bytes: int


def pages(file: IO[bytes], columns: set[int]) -> Iterator[Page]:
    """Yield the pages of some columns, one row group after the other; the file's position is moved.

    Args:
        file: the Parquet file.
        columns: the columns' places in the file's schema.

    Raises:
        ValueError: the footer or a header is none.
    """
    try:
        footer, _ = _read(_footer(file), _FOOTER)
    except IndexError:
        raise ValueError("its footer has no end") from None
    for group in _items(footer, _ROW_GROUPS):
        for number, column in enumerate(_items(group, _COLUMNS)):
            if number in columns:
                yield from _pages(file, column.get(_META_DATA))


def _items(struct: dict[int, Any], number: int) -> list[dict[int, Any]]:
    items = struct.get(number)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("its footer lists no columns")
    return items


def _pages(file: IO[bytes], place: Any) -> Iterator[Page]:
    packed_total, start = _integers(place, _PACKED_TOTAL, _DATA_OFFSET)
    if _DICTIONARY_OFFSET in place:
        (dictionary,) = _integers(place, _DICTIONARY_OFFSET)
        start = dictionary if 0 < dictionary < start else start
    end = start + packed_total
    while start < end:
        header, num_bytes = _header(file, start)
        kind, unpacked, packed = _integers(header, _TYPE, _UNPACKED, _PACKED)
        yield Page(kind == _DICTIONARY or _DELTA_BYTE_ARRAY in _encodings(header), unpacked)
        start += num_bytes + packed


def _encodings(header: dict[int, Any]) -> list[Any]:
    return [
        about.get(number)
        for about, number in ((header.get(_DATA), _ENCODING), (header.get(_DATA_V2), _ENCODING_V2))
        if isinstance(about, dict)
    ]


def _integers(struct: Any, *numbers: int) -> list[int]:
    values = [struct.get(number) if isinstance(struct, dict) else None for number in numbers]
    if not all(isinstance(value, int) and value >= 0 for value in values):
        raise ValueError("a column or page without its place or size")
    return [value for value in values if value is not None]


def _header(file: IO[bytes], start: int) -> tuple[dict[int, Any], int]:
    """Return the header of a page, and how many bytes it has."""
    size = _HEADER_BYTES
    while True:
        file.seek(start)
        content = file.read(size)
        try:
            return _read(content, _HEADER)
        except IndexError:
            if len(content) < size or size >= _MAXIMUM_HEADER_BYTES:
                raise ValueError(f"the header of the page at byte {start:,} has no end") from None
            size *= 16


def _footer(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    num_bytes = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or num_bytes > size - 8:
        raise ValueError("it does not end like one")
    if num_bytes > _MAXIMUM_FOOTER_BYTES:
        raise ValueError(f"a footer of {num_bytes:,} bytes, over {_MAXIMUM_FOOTER_BYTES:,}")
    file.seek(size - 8 - num_bytes)
    return file.read(num_bytes)


def _read(content: bytes, wanted: dict[int, Any]) -> tuple[dict[int, Any], int]:
    thrift = _Thrift(content)
    return thrift.struct(wanted, 0), thrift.position


_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 12
)  # fmt: skip
_INTEGERS = (4, 5, 6)
_LONG_LIST = 15
_INTEGER_BITS = 64
_DEEPEST = 32


class _Thrift:
    """Reads structs; to read past the end is an IndexError."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def struct(self, wanted: dict[int, Any], depth: int) -> dict[int, Any]:
        """Return the wanted fields by their number.

        Args:
            wanted: the numbers, each with those that are wanted of it.
            depth: how many structs and lists it lies in.
        """
        if depth > _DEEPEST:
            raise ValueError("structs in structs")
        found = {}
        number = 0
        while (byte := self._byte()) != _STOP:
            number = number + (byte >> 4) if byte >> 4 else self._integer()
            kind = byte & 15
            if kind not in (_TRUE, _FALSE):  # the type is the value
                value = self._value(kind, wanted.get(number), depth + 1)
                if number in wanted:
                    found[number] = value
        return found

    def _value(self, kind: int, wanted: dict[int, Any] | None, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.struct(wanted or {}, depth)
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != _LONG_LIST else self._varint()
            items = (self._value(head & 15, wanted, depth + 1) for _ in range(count))
            return list(items) if wanted else sum(1 for _ in items)
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a truth value is a byte
            return self._byte()
        if kind == _DOUBLE:
            return self._pass_over(8)
        if kind == _BINARY:
            return self._pass_over(self._varint())
        raise ValueError("a field of a type that Parquet does not use")

    def _pass_over(self, num_bytes: int) -> None:
        self.position += num_bytes
        if self.position > len(self._content):
            raise IndexError

    def _byte(self) -> int:
        byte = self._content[self.position]
        self.position += 1
        return byte

    def _varint(self) -> int:
        value = shift = 0
        while shift < _INTEGER_BITS:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("an integer of no end")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
