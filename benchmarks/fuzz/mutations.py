"""What is done to valid bytes and structures, drawn from one generator, so that it can be repeated.

Values that no JSON or YAML library writes (``1e999``, five thousand digits, deep nesting) are
``Raw``: marks that are replaced by their text when all else is written.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

MARK = "@raw-{}@"
RAW = (
    "1e999",
    "-1e999",
    "9" * 5_000,
    "1" * 400,
    "0x7f",
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    "[" * 3_000,
    "NaN",
    "-Infinity",
    '"\\ud800"',
    '"\\u0000"',
    "!!python/object:os.system {}",
    "&a [*a]",
    "2026-01-01",
    "'",
    "undefined",
)
"""Texts that stand for a value where a structure is written."""
TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "line\nline\r\nline\u2028line",
    "\ufeff",
    "\u202eright to left",
    "e\u0301\u0301\u0301" * 50,
    "💥" * 20,
    "../" * 12 + "etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "file:///etc/passwd",
    "http://127.0.0.1:9/a",
    "https://user:secret@example.invalid/a?token=abc",
    "C:\\a.txt",
    "${HOME}",
    "$(touch x)",
    "; rm -rf x",
    "--help",
    "-",
    ".",
    "..",
    "<script>alert(1)</script>",
    "[/red][bold]",
    "{{7*7}}",
    "%s%n{0}",
    "=1+1",
    "null",
    "true",
    "nan",
    "1e999",
    "0",
    "-1",
    "a" * 256,
    "a" * 5_000,
    "é" * 100_000,
    '"',
    "'",
    ",",
    "\t",
    "\\",
    "main",
    "train",
    "<<",
)
"""Texts that have broken something somewhere."""
NUMBERS = (
    *(0, 1, -1, 2, 7, 255, 256, 65_535),
    *(2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan),
)
TOKENS = (
    b"\x00",
    b"\xff\xfe",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\n",
    b"\r",
    b'"',
    b"'",
    b",",
    b"\t",
    b"\x1b[2J",
    b"{",
    b"[",
    b"}",
    b"]",
    b":",
    b"null",
    b"1e999",
    b"NaN",
    b"-",
    b"../../etc/passwd",
    b"/dev/zero",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"PAR1",
    b"\x89PNG\r\n\x1a\n",
    b"%!PS-Adobe-3.0 EPSF-3.0",
    b"<<",
    b"&a",
    b"*a",
    b"!!",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x80",
    b"a" * 70_000,
    b"[" * 5_000,
)
"""What is put between bytes, and over them."""


def raw(random: Random) -> str:
    """Return the mark of one of ``RAW``."""
    return MARK.format(random.randrange(len(RAW)))


def with_raw(text: str) -> str:
    """Return a text of JSON or YAML with each mark replaced by what it stands for."""
    for number, value in enumerate(RAW):
        mark = MARK.format(number)
        if mark in text:
            for quoted in (f'"{mark}"', f"'{mark}'", mark):
                text = text.replace(quoted, value)
    return text


def json_text(value: Any) -> str:
    """Return a structure as JSON, what stands for no JSON included."""
    return with_raw(json.dumps(value, ensure_ascii=False, default=str))


def encoded(text: str) -> bytes:
    """Return a text as bytes, half surrogate pairs too."""
    return text.encode("utf-8", "surrogatepass")


def nasty(random: Random) -> Any:
    """Return a value that nobody expects."""
    kind = random.randrange(8)
    if kind < 3:
        return random.choice(TEXTS)
    if kind == 3:
        return random.choice(NUMBERS)
    if kind == 4:
        return random.choice([None, True, False])
    if kind == 5:
        return random.choice([[], {}, [[]], {"": None}, [None], {"a": {"b": ["c"]}}])
    if kind == 6:
        return raw(random)
    nested: Any = random.choice(NUMBERS)
    for _ in range(random.choice([2, 30, 110, 150])):
        nested = [nested] if random.random() < 0.5 else {"a": nested}
    return nested


def mutated(random: Random, value: Any, inner: Callable[[Random], Any] = nasty) -> Any:
    """Return a copy of a structure with some of its places changed.

    Args:
        random: where all chance comes from.
        value: what JSON or YAML may hold.
        inner: makes what is put in a place.
    """
    holder = [copy.deepcopy(value)]
    for _ in range(random.choice([1, 1, 1, 1, 2, 4])):
        places = _places(holder)
        parent, key = random.choice(places)
        _change(random, parent, key, inner, [parent[key] for parent, key in places])
    return holder[0]


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending: list[Any] = [root]
    while pending:
        node = pending.pop()
        keys: Any = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                pending.append(node[key])
    return found


def _change(
    random: Random, parent: Any, key: Any, inner: Callable[[Random], Any], others: Sequence[Any]
) -> None:
    kind = random.randrange(12)
    value = parent[key]
    if kind >= 10 and isinstance(value, bool):
        parent[key] = not value
    elif kind >= 10 and isinstance(value, int | float) and math.isfinite(value):
        parent[key] = random.choice([value + 1, value * 2, value / 2, 0, 1])
    elif kind == 0 and isinstance(parent, dict):
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[str(inner(random))[:300]] = parent.pop(key)
    elif kind == 2 and isinstance(parent, dict):
        parent[str(inner(random))[:300]] = inner(random)
    elif kind == 2:
        parent.insert(key, inner(random))
    elif kind == 3:
        parent[key] = copy.deepcopy(random.choice(others))
    elif kind == 4 and isinstance(value, int | float):
        parent[key] = -value if random.random() < 0.5 else value * 10**9
    elif kind == 4 and isinstance(value, str):
        parent[key] = mutated_bytes(random, encoded(value)).decode("utf-8", "replace")
    elif kind == 5:
        parent[key] = [copy.deepcopy(value)] * random.choice([2, 50])
    else:
        parent[key] = inner(random)


def mutated_bytes(random: Random, content: bytes, other: bytes = b"") -> bytes:
    """Return bytes with some of them changed.

    Args:
        random: where all chance comes from.
        content: valid bytes.
        other: other valid bytes, a part of which may take the place of the end.
    """
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        content = random.choice(_CHANGES)(random, content, other or content)
    return content


def _range(random: Random, content: bytes) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, min(len(content), start + random.choice([1, 2, 4, 16, 64, 1024]))


def _flip(random: Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _flip in range(random.choice([1, 1, 4, 32]) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random: Random, content: bytes, _: bytes) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _delete(random: Random, content: bytes, _: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:start] + content[end:]


def _repeat(random: Random, content: bytes, _: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:end] + content[start:end] * random.choice([1, 2, 100]) + content[end:]


def _insert(random: Random, content: bytes, _: bytes) -> bytes:
    start, _end = _range(random, content)
    return content[:start] + random.choice(TOKENS) + content[start:]


def _overwrite(random: Random, content: bytes, _: bytes) -> bytes:
    start, _end = _range(random, content)
    token = random.choice(TOKENS)
    return content[:start] + token + content[start + len(token) :]


def _splice(random: Random, content: bytes, other: bytes) -> bytes:
    start, _end = _range(random, content)
    return content[:start] + other[random.randrange(len(other) + 1) :]


_CHANGES = (_flip, _flip, _cut, _delete, _repeat, _insert, _overwrite, _overwrite, _splice)
