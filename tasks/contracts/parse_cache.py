"""Results of slow parsing, kept in ``.downstream/cache/`` by the hash of what was parsed."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tasks.contracts import files, paths

CACHE = paths.STATE / "cache"


def parsed_once(name: str, texts: list[str], parse: Callable[[], Any]) -> Any:
    """Return what parsing gave before for the same texts, or parse and keep the result.

    Only what JSON gives back unchanged is kept. A workspace that is read-only is no error.

    Args:
        name: what is parsed; one result is kept for each name.
        texts: all that the result depends on.
        parse: makes the result.
    """
    path = CACHE / f"{name}.json"
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = files.read_json(path)
        if kept["key"] == key:
            return kept["value"]
    value = parse()
    with suppress(OSError, ValueError, TypeError):
        text = json.dumps({"key": key, "value": value})
        if json.loads(text)["value"] == value:
            files.write_text(path, text)
    return value
