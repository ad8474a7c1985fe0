"""What a backbone has seen is told where its models are judged."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.models import origin
from tasks.models.model import describe, description
from tasks.models.origin import Overlap, carry_origin, labels_of, overlap, said_of, write_origin


def corpus(path: Path, numbers: range) -> Path:
    pq.write_table(pa.table({"id": [f"{number}" for number in numbers]}), path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A backbone and a model, of which nothing is known yet."""
    found = tmp_path / "backbone", tmp_path / "model"
    for folder in found:
        folder.mkdir()
        describe(folder, architecture="bert", modality="text")
    return found


def test_records_that_were_trained_on_are_found_again(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    backbone, model = folders
    write_origin(backbone, corpus(tmp_path / "train.parquet", range(1000)))
    carry_origin(backbone, model)
    assert overlap(model, map(str, range(990, 1090))) == Overlap(10, 100)
    assert overlap(model, []) == Overlap(0, 0)
    assert overlap(model, []).share == 0  # type: ignore[union-attr]
    assert labels_of(model) == []


def test_of_a_large_corpus_a_sample_tells_the_share(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "MOST_KEPT", 1000)
    backbone, model = folders
    write_origin(backbone, corpus(tmp_path / "train.parquet", range(20_000)))
    assert len(np.load(backbone / origin.SEEN)) == 1000
    carry_origin(backbone, model)
    found = overlap(model, map(str, range(15_000, 25_000)))
    assert found is not None
    assert 400 < found.compared < 600
    assert 0.45 < found.share < 0.55


def test_of_images_with_a_target_of_text_the_ids_are_kept(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    backbone, model = folders
    captions = {"id": ["1", "2"], "image": [b"1", b"2"], "response": ["a", "b"]}
    pq.write_table(pa.table(captions), tmp_path / "train.parquet")
    write_origin(backbone, tmp_path / "train.parquet")
    carry_origin(backbone, model)
    assert overlap(model, ["1", "2", "3"]) == Overlap(2, 3)


def test_what_is_not_known_is_not_told(folders: tuple[Path, Path]) -> None:
    backbone, model = folders
    before = description(model)
    carry_origin(backbone, model)
    assert overlap(model, ["1"]) is None
    assert description(model) == before


def test_learnt_labels_are_carried_with_the_rest_of_what_a_model_says(
    folders: tuple[Path, Path],
) -> None:
    backbone, model = folders
    describe(backbone, architecture="convnet", labels_of="digits")
    carry_origin(backbone, model)
    assert labels_of(model) == ["digits"]
    assert description(model)["architecture"] == "bert"


def test_a_backbone_that_goes_on_from_another_has_seen_what_both_were_trained_on(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = folders
    write_origin(first, corpus(tmp_path / "first.parquet", range(100)))
    write_origin(second, corpus(tmp_path / "second.parquet", range(90, 200)), first)
    assert overlap(second, map(str, range(300))) == Overlap(200, 300)
    monkeypatch.setattr(origin, "MOST_KEPT", 50)
    write_origin(first, corpus(tmp_path / "first.parquet", range(100)))
    write_origin(second, corpus(tmp_path / "second.parquet", range(90, 200)), first)
    sample = np.load(second / origin.SEEN)
    write_origin(second, corpus(tmp_path / "both.parquet", range(200)))
    assert np.array_equal(sample, np.load(second / origin.SEEN))


def test_learnt_labels_are_those_of_one_corpus_or_of_several(folders: tuple[Path, Path]) -> None:
    backbone, model = folders
    assert said_of([]) == {}
    assert said_of(["digits", "digits"]) == {"labels_of": "digits"}
    describe(backbone, architecture="convnet", **said_of(["letters", "digits"]))
    carry_origin(backbone, model)
    assert labels_of(model) == ["digits", "letters"]
