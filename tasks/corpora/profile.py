"""What a corpus is like, as one file: its classes, the lengths of its texts and their words.

``downstream data profile`` writes it beside the sources, for git to keep; ``validate`` compares the
splits with it where ``drift`` is set. Ids are hashes and the splits lie sorted by them, so the
first records of each are a sample drawn at random, and the same one for the same corpus.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.files import read_json, rounded
from tasks.contracts.paths import Part, sources
from tasks.contracts.records import modality_of, read_batches, read_schema
from tasks.errors import BadInput

SAMPLE = 20_000
"""Texts that are looked at, of all splits together; labels are counted in all records."""
WORDS = 5_000
"""The most frequent words are compared, each by the share of texts that have it."""
CHANGES = 5
"""What has changed most is listed, so many of each kind."""
MEASURES = ("labels", "lengths", "vocabulary")
_WORD = re.compile(r"\w+")
_VERSION = 1


def reference_of(corpus: str) -> Path:
    """Return the file that holds the profile to compare a corpus with.

    Beside the folder of its sources, not in it: a new profile collects nothing anew.
    """
    return sources(corpus).with_name(f"{corpus}.profile.json")


def profile_of(parts: Mapping[Part, Path]) -> dict[str, Any]:
    """Return what the splits of a corpus are like, taken together.

    Args:
        parts: the record files of its splits, by name.
    """
    labels: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    words: Counter[str] = Counter()
    num_records = num_texts = 0
    share = 1 / len(parts)
    for path in parts.values():
        wanted = round(SAMPLE * share)
        is_text = modality_of(read_schema(path)) == "text"
        for batch in read_batches(path):
            num_records += batch.num_rows
            labels.update(label for label in batch.column("label").to_pylist() if label is not None)
            texts = batch.column("text").slice(0, wanted).to_pylist() if is_text else []
            wanted -= len(texts)
            num_texts += len(texts)
            for text in texts:
                lengths[_bucket(text)] += 1
                words.update({*_WORD.findall(text.lower())})
    common = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:WORDS]
    return {
        "version": _VERSION,
        "records": num_records,
        "texts": num_texts,
        "labels": dict(sorted(labels.items())),
        "lengths": {str(bucket): lengths[bucket] for bucket in sorted(lengths)},
        "words": dict(sorted(common)),
    }


def _bucket(text: str) -> int:
    """Return the least number of characters of the bucket of a text's length; half octaves."""
    return math.ceil(2 ** (int(2 * math.log2(max(1, len(text)))) / 2))


def read_profile(path: Path) -> dict[str, Any]:
    """Return a profile that was written before.

    Raises:
        BadInput: there is none, or it is none.
    """
    remedy = "`downstream data profile` writes it"
    try:
        found = read_json(path)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: {remedy}") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error}): {remedy}") from None
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        raise BadInput(f"{path} is no profile of version {_VERSION}: {remedy}")
    return found


def drift(reference: dict[str, Any], now: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Compare two profiles.

    Args:
        reference: the one to compare with.
        now: that of today's records.

    Returns:
        By each of ``MEASURES`` that both have: ``distance`` (of labels and lengths half the sum of
        absolute differences of shares; of words that sum over the sum of both, each word's share
        being of the texts that have it), ``expected_by_chance`` (its mean if both were drawn at
        random from one corpus, by normal approximation), ``beyond_chance`` (the former less the
        latter, at least 0), and ``changes``, the largest: what, its share then and now.
    """
    totals = {
        "labels": (sum(reference["labels"].values()), sum(now["labels"].values())),
        "lengths": (reference["texts"], now["texts"]),
        "vocabulary": (reference["texts"], now["texts"]),
    }
    keys = {"labels": "labels", "lengths": "lengths", "vocabulary": "words"}
    return {
        measure: _distance(reference[keys[measure]], now[keys[measure]], *totals[measure])
        for measure in MEASURES
        if all(totals[measure])
    }


def _distance(
    before: Mapping[str, int], after: Mapping[str, int], num_before: int, num_after: int
) -> dict[str, Any]:
    names = sorted({*before, *after})
    first = np.array([before.get(name, 0) for name in names]) / num_before
    second = np.array([after.get(name, 0) for name in names]) / num_after
    scale = max(first.sum() + second.sum(), 1e-12)
    distance = float(np.abs(first - second).sum() / scale)
    pooled = (first * num_before + second * num_after) / (num_before + num_after)
    variances = pooled * (1 - pooled) * (1 / num_before + 1 / num_after)
    by_chance = float(np.sqrt(2 * variances / np.pi).sum() / scale)
    largest = sorted(range(len(names)), key=lambda n: (-abs(first[n] - second[n]), names[n]))
    return rounded(
        {
            "distance": distance,
            "expected_by_chance": by_chance,
            "beyond_chance": max(0.0, distance - by_chance),
            "changes": [
                [names[n], float(first[n]), float(second[n])]
                for n in largest[:CHANGES]
                if first[n] != second[n]
            ],
        }
    )
