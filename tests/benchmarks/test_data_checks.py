"""The benchmark of the checks on data counts what it planted."""

import numpy as np
import pytest

from benchmarks.data_checks import f1, score_labels, scores, together
from tasks.metrics.predictions import Labelled

WORDS = {
    "money": ["bank", "share", "profit", "price", "loan"],
    "sport": ["match", "goal", "team", "score", "win"],
}


def test_planted_labels_are_scored_for_the_list_and_the_plain_rule() -> None:
    random = np.random.default_rng(0)
    labels = [sorted(WORDS)[row % 2] for row in range(200)]
    texts = [" ".join(map(str, random.choice(WORDS[label], 8))) for label in labels]
    ids = [f"{row:064x}" for row in range(200)]
    half = Labelled("text", ids[:100], texts[:100], labels[:100], 0)
    rest = Labelled("text", ids[100:], texts[100:], labels[100:], 0)
    scored = score_labels(together([half, rest]))
    assert scored["listed"]["precision"] == 1.0
    assert scored["listed"]["recall"] >= 0.8
    assert scored["plain"]["recall"] == 1.0


def test_scores_are_of_what_was_planted() -> None:
    found = scores(np.array([1, 2, 3, 4]), np.array([3, 4, 5]))
    assert found == {"found": 4, "precision": 0.5, "recall": pytest.approx(2 / 3)}
    assert f1(found) == pytest.approx(4 / 7)
