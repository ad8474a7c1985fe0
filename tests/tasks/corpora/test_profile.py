"""A profile says what a corpus is like; what has shifted is told from what chance explains."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.records import split_schema, write_records
from tasks.corpora import profile
from tasks.corpora.profile import drift, profile_of, read_profile, reference_of
from tasks.errors import BadInput
from tasks.validate.settings import Settings

WORDS = [f"word{number}" for number in range(60)]


def records(number: int, seed: int, sports: float = 0.5, length: int = 20) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = []
    for row in range(number):
        is_sport = random.random() < sports
        words = random.choice(WORDS[:40] if is_sport else WORDS[20:], length)
        text = " ".join(map(str, words))
        rows.append({"id": f"{row:064x}", "text": text, "label": "sport" if is_sport else "好评"})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> dict[str, Path]:
    schema = split_schema("text")
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    return {"train": path}


def beyond(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    return {name: told["beyond_chance"] for name, told in drift(before, after).items()}


@pytest.fixture
def reference(tmp_path: Path) -> dict[str, Any]:
    return profile_of(write(tmp_path / "reference.parquet", records(2_000, 0)))


def test_a_profile_counts_classes_lengths_and_texts_with_a_word(tmp_path: Path) -> None:
    rows = [
        {"id": "0" * 64, "text": "Öl, öl und GAS", "label": "oil"},
        {"id": "1" * 64, "text": "und", "label": None},
    ]
    assert profile_of(write(tmp_path / "a.parquet", rows)) == {
        "version": 1,
        "records": 2,
        "texts": 2,
        "labels": {"oil": 1},
        "lengths": {"3": 1, "12": 1},
        "words": {"gas": 1, "und": 2, "öl": 1},
    }


def test_another_sample_of_one_corpus_has_not_shifted(
    reference: dict[str, Any], tmp_path: Path
) -> None:
    other = profile_of(write(tmp_path / "other.parquet", records(2_000, 1)))
    assert all(distance < 0.03 for distance in beyond(reference, other).values())
    assert set(beyond(reference, reference).values()) == {0.0}


@pytest.mark.parametrize(
    ("changed", "measure"),
    [({"sports": 0.8}, "labels"), ({"length": 40}, "lengths"), ({"sports": 0.95}, "vocabulary")],
)
def test_a_planted_shift_is_found(
    reference: dict[str, Any], tmp_path: Path, changed: dict[str, Any], measure: str
) -> None:
    shifted = profile_of(write(tmp_path / "shifted.parquet", records(2_000, 1, **changed)))
    assert beyond(reference, shifted)[measure] > 0.1
    assert drift(reference, shifted)[measure]["changes"]


def test_a_balance_that_has_not_moved_is_not_said_to_have(
    reference: dict[str, Any], tmp_path: Path
) -> None:
    longer = profile_of(write(tmp_path / "longer.parquet", records(2_000, 1, length=40)))
    assert beyond(reference, longer)["labels"] < 0.03


@given(st.integers(0, 5), st.integers(1, 300), st.integers(1, 300))
def test_a_few_records_are_not_said_to_have_shifted_by_chance(
    seed: int, first: int, second: int
) -> None:
    random = np.random.default_rng(seed)
    draw = lambda number: dict(enumerate(random.multinomial(number, [0.25] * 4).tolist()))  # noqa: E731

    def made(number: int) -> dict[str, Any]:
        counts = {str(name): count for name, count in draw(number).items()}
        return {"texts": number, "labels": counts, "lengths": counts, "words": counts}

    told = drift(made(first), made(second))["labels"]
    assert told["distance"] <= told["expected_by_chance"] * 4 + 1e-9


def test_a_shifted_balance_is_told_from_chance_with_precision_and_recall() -> None:
    random = np.random.default_rng(0)

    def sample(shares: list[float]) -> dict[str, Any]:
        counts = {str(n): int(c) for n, c in enumerate(random.multinomial(500, shares))}
        return {"texts": 500, "labels": counts, "lengths": counts, "words": counts}

    reference = sample([0.25, 0.25, 0.25, 0.25])
    even = [sample([0.25, 0.25, 0.25, 0.25]) for _ in range(200)]
    shifted = [sample([0.45, 0.25, 0.15, 0.15]) for _ in range(200)]
    wrong, found = (
        sum(beyond(reference, each)["labels"] > 0.1 for each in group) for group in (even, shifted)
    )
    assert found / len(shifted) >= 0.95  # recall
    assert found / (found + wrong) >= 0.95  # precision


def test_images_have_classes_alone(tmp_path: Path) -> None:
    schema = split_schema("image")
    rows = [{"id": "0" * 64, "image": b"png", "label": "7"}]
    write_records(tmp_path / "a.parquet", schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    found = profile_of({"train": tmp_path / "a.parquet"})
    assert (found["labels"], found["texts"]) == ({"7": 1}, 0)
    assert list(drift(found, found)) == ["labels"]


def test_the_sample_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SAMPLE", 100)
    found = profile_of(write(tmp_path / "a.parquet", records(300, 0)))
    assert (found["records"], found["texts"]) == (300, 100)


def test_what_is_no_profile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(BadInput, match="does not exist: `downstream data profile` writes it"):
        read_profile(path)
    path.write_text("{")
    with pytest.raises(BadInput, match="is not JSON"):
        read_profile(path)
    path.write_text("{}")
    with pytest.raises(BadInput, match="is no profile of version 1"):
        read_profile(path)


def test_the_fingerprint_has_the_file_that_is_read() -> None:
    settings = Settings.parse({"drift": {}}, "x")
    assert settings.reads("news") == [reference_of("news")]
    assert Settings().reads("news") == []
    assert reference_of("news") == Path("data/sources/news.profile.json")
