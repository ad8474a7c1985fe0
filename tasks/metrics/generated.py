"""How near are texts to their references? chrF, BLEU and exact match, as sums over the records.

The counts of n-grams are sacrebleu's (Post 2018, "A Call for Clarity in Reporting BLEU Scores",
WMT, pages 186 to 191), and so are the figures that follow from their sums, as shares of one: the
sums of any resample are one matrix product, where sacrebleu scores one list of texts at a time.

Dimensions: S resamples, N records.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.metrics.scores import Floats

CHRF_ORDER, BLEU_ORDER = 6, 4
NUM_CHRF, NUM_BLEU = 3 * CHRF_ORDER, 2 + 2 * BLEU_ORDER
NUM_COLUMNS = NUM_CHRF + NUM_BLEU + 1
RECALL_WEIGHT = 4
"""The square of the beta of chrF2: recall counts four times as much as precision."""
PAIRS_KNOWN = 1 << 16
"""A text and its reference are counted once, though a review asks several times."""


def counted(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """Return what is counted of each record, N ``NUM_COLUMNS``, for the metrics.

    Of several references, chrF counts the one that a text is nearest to, BLEU n-grams of any and
    the length that is nearest, as sacrebleu does.

    Args:
        texts: one a record.
        references: those of each of them, one at least.
    """
    rows = [_counted(text, *all_of) for text, all_of in zip(texts, references, strict=True)]
    return np.array(rows, dtype=float).reshape(len(rows), NUM_COLUMNS)


@lru_cache(PAIRS_KNOWN)
def _counted(text: str, *references: str) -> tuple[int, ...]:
    found: list[int] = []
    for metric in _metrics():
        (counts,) = metric._extract_corpus_statistics([text], [[one] for one in references])
        found += map(int, counts)
    return (*found, int(text.strip() in [one.strip() for one in references]))


@cache
def _metrics() -> tuple[Any, ...]:
    from sacrebleu.metrics import BLEU, CHRF

    return CHRF(char_order=CHRF_ORDER), BLEU(max_ngram_order=BLEU_ORDER)


def chrf(counts: Floats, of_records: Floats) -> Floats:
    """Return chrF, S: F2 of the characters' n-grams up to six (Popović 2015, WMT).

    Args:
        counts: how often each record counts, S N.
        of_records: what ``counted`` returns.
    """
    sums = counts @ of_records[:, :NUM_CHRF]
    given, wanted, hits = sums[:, 0::3], sums[:, 1::3], sums[:, 2::3]
    both = (given > 0) & (wanted > 0)
    num_orders = np.maximum(both.sum(axis=1), 1)
    precision = np.divide(hits, given, out=np.zeros_like(hits), where=both).sum(axis=1)
    recall = np.divide(hits, wanted, out=np.zeros_like(hits), where=both).sum(axis=1)
    precision, recall = precision / num_orders, recall / num_orders
    whole = RECALL_WEIGHT * precision + recall
    score: Floats = np.zeros(len(counts))
    np.divide((1 + RECALL_WEIGHT) * precision * recall, whole, out=score, where=whole > 0)
    return score


def bleu(counts: Floats, of_records: Floats) -> Floats:
    """Return BLEU, S: of words, smoothed as mteval does (Papineni et al. 2002, ACL).

    Args:
        counts: how often each record counts, S N.
        of_records: what ``counted`` returns.
    """
    sums = counts @ of_records[:, NUM_CHRF : NUM_CHRF + NUM_BLEU]
    length, wanted = sums[:, 0], sums[:, 1]
    hits, given = sums[:, 2 : 2 + BLEU_ORDER], sums[:, 2 + BLEU_ORDER :]
    is_defined = (given > 0).all(axis=1) & (hits > 0).any(axis=1)
    halvings = np.cumsum(hits == 0, axis=1)
    smoothed = np.where(hits > 0, hits, 0.5**halvings)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.log(smoothed / given).mean(axis=1)
        brevity = np.minimum(0, 1 - wanted / length)
        score: Floats = np.where(is_defined, np.exp(precisions + brevity), 0.0)
    return score


def exact_match(counts: Floats, of_records: Floats) -> Floats:
    """Return the share of texts that are a reference of theirs, but for blanks around them.

    Args:
        counts: how often each record counts, S N.
        of_records: what ``counted`` returns.
    """
    share: Floats = counts @ of_records[:, -1] / counts.sum(axis=1)
    return share
