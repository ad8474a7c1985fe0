"""Planted leaks, word swaps among them, are found, and what is not leaked is not."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tasks.contracts.files import read_json
from tasks.contracts.paths import Part
from tasks.contracts.records import split_schema, write_records
from tasks.corpora.columns import target_field
from tasks.errors import ValidationFailed
from tasks.validate.near import near_leakage
from tasks.validate.settings import NearLeakageSettings
from tests.tasks.duplicates.test_images import altered, encoded, scene
from tests.tasks.validate.conftest import identity

if TYPE_CHECKING:
    from tests.tasks.validate.conftest import Splits

WORDS = [f"word{number}" for number in range(3_000)]


def texts(number: int, random: np.random.Generator) -> list[str]:
    return [" ".join(map(str, random.choice(WORDS, 80))) for _ in range(number)]


def swapped(text: str, random: np.random.Generator) -> str:
    """Return a text with two words of it replaced: it keeps 0.86 of its shingles or more."""
    words = text.split()
    for place in random.choice(len(words), 2, replace=False):
        words[place] = str(random.choice(WORDS))
    return " ".join(words)


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_leaks_are_found_with_precision_and_recall(splits: "Splits", seed: int) -> None:
    random = np.random.default_rng(seed)
    train, own = texts(400, random), texts(150, random)
    leaked = [train[row] if row % 3 == 0 else swapped(train[row], random) for row in range(60)]
    splits.write(
        train=[(text, "xy"[row % 2]) for row, text in enumerate(train)],
        validation=[(text, "xy"[row % 2]) for row, text in enumerate(texts(50, random))],
        test=[(text, "xy"[row % 2]) for row, text in enumerate(own + leaked)],
    )
    with pytest.raises(ValidationFailed):
        splits.run(maximum_leaked_share=1.0, near_duplicates={"similarity": 0.8})
    rows = read_json(splits.kept)["facts"]["near_leakage"]
    assert [(row["pair"], row["near"]) for row in rows] == [
        ("train, validation", 0),
        ("train, test", 60),
        ("validation, test", 0),
    ]


def test_a_prompt_that_is_nearly_one_of_train_has_leaked_whatever_its_response(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    prompts = texts(3, random)
    given: dict[Part, list[tuple[str, str]]] = {
        "train": [(prompts[0], "yes"), (prompts[1], "no")],
        "validation": [(swapped(prompts[0], random), "it may be")],
        "test": [(prompts[2], "yes"), (prompts[1], "never")],
    }
    found = near_leakage(written(tmp_path, "response", given), NearLeakageSettings())
    assert [row["ids"] for row in found] == [
        [["validation0", "train0"]],
        [["test1", "train1"]],
        [],
    ]


def written(
    folder: Path, target: str, given: dict[Part, list[tuple[str, str]]]
) -> dict[Part, Path]:
    """Write splits of texts with a target each."""
    paths: dict[Part, Path] = {}
    for part, rows in given.items():
        schema = split_schema("text").append(target_field(target))
        named = [
            {"id": f"{part}{place}", "text": one, target: other}
            for place, (one, other) in enumerate(rows)
        ]
        paths[part] = folder / f"{part}.parquet"
        write_records(paths[part], schema, [pa.RecordBatch.from_pylist(named, schema=schema)])
    return paths


def test_a_leaked_pair_is_one_that_is_alike_in_both_texts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    first, second = texts(4, random), texts(4, random)
    given: dict[Part, list[tuple[str, str]]] = {
        "train": [*zip(first, second, strict=True)],
        "validation": [(texts(1, random)[0], second[0])],
        "test": [
            (swapped(first[0], random), swapped(second[0], random)),
            (first[1], texts(1, random)[0]),
            (first[2], second[3]),
        ],
    }
    found = near_leakage(written(tmp_path, "text_b", given), NearLeakageSettings())
    assert [row["ids"] for row in found] == [[], [["test0", "train0"]], []]


def test_images_of_two_splits_that_look_alike_are_found(tmp_path: Path) -> None:
    paths: dict[Part, Path] = {}
    contents: dict[Part, list[bytes]] = {
        "train": [encoded(scene(seed)) for seed in range(6)],
        "validation": [encoded(scene(seed)) for seed in range(6, 9)],
        "test": [altered(scene(2), 1), encoded(scene(9))],
    }
    for part, images in contents.items():
        rows = [{"id": f"{part}{place}", "image": one} for place, one in enumerate(images)]
        schema = split_schema("image")
        paths[part] = tmp_path / f"{part}.parquet"
        write_records(paths[part], schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    found = near_leakage(paths, NearLeakageSettings())
    assert [(row["pair"], row["ids"]) for row in found] == [
        ("train, validation", []),
        ("train, test", [["test0", "train2"]]),
        ("validation, test", []),
    ]


def test_the_examples_name_both_records(splits: "Splits") -> None:
    random = np.random.default_rng(0)
    train = texts(5, random)
    splits.write(
        train=[(text, "x") for text in train],
        validation=[(text, "x") for text in texts(5, random)],
        test=[(swapped(train[3], random), "x")],
    )
    paths = {part: splits.root / f"{part}.parquet" for part in ("train", "validation", "test")}
    (found,) = [row for row in near_leakage(paths, NearLeakageSettings()) if row["near"]]  # type: ignore[arg-type]

    assert found["ids"][0][1] == identity(train[3])
