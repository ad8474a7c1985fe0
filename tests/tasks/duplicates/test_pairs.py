"""Pairs are together where both their texts are, and in no other way."""

import numpy as np
import pytest

from tasks.duplicates import pairs

ASKED = "how do I wash this dress by hand"
ANSWERED = "in cold water and with care I would say"


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_is_of_pairs_that_are_alike_in_both_texts(seed: int) -> None:
    rows = [
        ("what is it made of", "wool", 0),
        (ASKED, ANSWERED, 1),
        (f"{ASKED}?", f"{ANSWERED}!", 1),
        (f"well, {ASKED}", ANSWERED, 1),
        (ASKED, "not at all", 2),
        ("is there a lining", ANSWERED, 3),
        (ANSWERED, ASKED, 4),
        ("?", "wool", 5),
        ("?", "wool", 5),
        ("?", "!", 6),
    ]
    order = np.random.default_rng(seed).permutation(len(rows))
    columns = {name: [rows[n][place] for n in order] for place, name in enumerate(pairs.COLUMNS)}
    found = pairs.clusters_of(columns.__getitem__, similarity=0.7)
    wanted = [rows[n][2] for n in order]
    assert found.tolist() == [wanted.index(number) for number in wanted]
