"""In which languages the texts of each split are."""

from collections import Counter
from pathlib import Path
from typing import Any

from tasks.contracts.paths import Part
from tasks.contracts.records import modality_of, read_batches, read_schema
from tasks.corpora.languages import language_of, require_known
from tasks.errors import BadSettings
from tasks.validate.settings import LanguagesSettings

SAMPLE = 2_000
"""Texts of each split that are looked at: the first by their ids, which are hashes."""
_LISTED = 5


def language_shares(paths: dict[Part, Path], settings: LanguagesSettings) -> list[dict[str, Any]]:
    """Return one row a split: which share of its texts is in an expected language, and the others.

    Args:
        paths: the splits.
        settings: the languages.

    Raises:
        BadSettings: a language is unknown, or the records are images.
    """
    require_known(tuple(settings.expected), "validate.languages.expected")
    rows = []
    for part, path in paths.items():
        if modality_of(read_schema(path)) != "text":
            raise BadSettings(f"validate.languages is of texts, and {path} holds images: drop it")
        found: Counter[str] = Counter()
        for text in _long_texts(path, settings.minimum_characters):
            found[language_of(text)[0]] += 1
        expected = sum(found[language] for language in settings.expected)
        others = [
            item
            for item in sorted(found.items(), key=lambda item: (-item[1], item[0]))
            if item[0] not in settings.expected
        ]
        rows.append(
            {
                "split": part,
                "texts": found.total(),
                "share": expected / found.total() if found else 1.0,
                "others": [list(item) for item in others[:_LISTED]],
            }
        )
    return rows


def _long_texts(path: Path, minimum_characters: int) -> list[str]:
    """Return a sample of the texts whose language can be told."""
    texts: list[str] = []
    for batch in read_batches(path):
        found = batch.column("text").to_pylist()
        texts += [text for text in found if len(text) >= minimum_characters]
        if len(texts) >= SAMPLE:
            break
    return texts[:SAMPLE]
