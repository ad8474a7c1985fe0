"""What is measured, by hand on small tables."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.validate import facts
from tasks.validate.settings import Settings

if TYPE_CHECKING:
    from tests.tasks.validate.conftest import Splits


def frame(rows: list[tuple[str, str | None]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "label"])


def tables() -> dict[Any, pd.DataFrame]:
    return {
        "train": frame([("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")]),
        "validation": frame([("1", "a"), ("5", None)]),
        "test": frame([("2", "a"), ("3", "b"), ("6", "c"), ("5", "c")]),
    }


def test_a_text_is_measured_in_characters_not_bytes(splits: "Splits") -> None:
    splits.write(train=[("好吃", "x")])
    found = facts.profile(Path("train.parquet"))
    assert found[["label", "characters"]].to_dict("records") == [{"label": "x", "characters": 2}]


def test_an_image_is_measured_in_pixels(splits: "Splits") -> None:
    file = io.BytesIO()
    Image.new("L", (3, 2)).save(file, format="PNG")
    splits.write("image", train=[(file.getvalue(), None)])
    found = facts.profile(Path("train.parquet"))
    assert found[["width", "height"]].to_dict("records") == [{"width": 3, "height": 2}]


def test_classes_are_counted_in_each_split() -> None:
    assert facts.classes(tables()).to_dict("records") == [
        {"label": "a", "train": 2, "validation": 1, "test": 1},
        {"label": "b", "train": 2, "validation": 0, "test": 1},
        {"label": "c", "train": 0, "validation": 0, "test": 2},
    ]


def test_unlabelled_splits_have_no_classes() -> None:
    bare = {part: table.assign(label=None) for part, table in tables().items()}
    assert len(facts.classes(bare)) == 0


def test_leaked_records_are_counted_against_the_later_split() -> None:
    assert facts.leakage(tables()).to_dict("records") == [
        {"pair": "train, validation", "shared": 1, "share": 0.5, "ids": ["1"]},
        {"pair": "train, test", "shared": 2, "share": 0.5, "ids": ["2", "3"]},
        {"pair": "validation, test", "shared": 1, "share": 0.25, "ids": ["5"]},
    ]


def test_drift_is_the_total_variation_distance() -> None:
    counts = pd.DataFrame({"train": [600, 400], "test": [300, 700]})
    found = facts.drift(counts)
    assert found["total_variation"] == pytest.approx(0.3)
    # Twice half of sqrt(2 p (1 - p) (1/1000 + 1/1000) / pi) at p = 0.45.
    assert found["expected_by_chance"] == pytest.approx(0.017752, abs=1e-6)
    assert found["beyond_chance"] == pytest.approx(0.282248, abs=1e-6)


def test_drift_of_small_splits_is_mostly_chance() -> None:
    found = facts.drift(pd.DataFrame({"train": [6, 6], "test": [1, 2]}))
    assert found["total_variation"] == pytest.approx(1 / 6)
    assert found["beyond_chance"] == 0.0


def test_a_shifted_balance_is_found_and_chance_is_not() -> None:
    random = np.random.default_rng(0)
    allowed = Settings().maximum_class_drift
    refused = {True: 0, False: 0}
    for number in range(400):
        shares = random.dirichlet(np.full(random.integers(2, 20), 5.0))
        is_shifted = number % 2 == 0
        rarest = np.eye(len(shares))[shares.argmin()]
        # A distance of 0.4, where 0.2 is allowed: more of the test split is of the rarest class.
        moved = 0.4 / (1 - shares.min()) if is_shifted else 0.0
        of_test = (1 - moved) * shares + moved * rarest
        train, test = random.multinomial(1_000, shares), random.multinomial(300, of_test)
        found = facts.drift(pd.DataFrame({"train": train, "test": test}))
        refused[is_shifted] += found["beyond_chance"] > allowed
    assert refused[True] / 200 >= 0.95  # recall
    assert refused[True] / (refused[True] + refused[False]) >= 0.95  # precision
