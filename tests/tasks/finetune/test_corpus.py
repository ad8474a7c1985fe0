"""Both splits as one list of records."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import records
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.finetune.corpus import read_corpus
from tasks.models.model import load_backbone


def relabelled(path: Path, target: Path, label: str | None) -> Path:
    """Give the first record of a split another label."""
    table = records.read_table(path)
    labels = [label, *table["label"].to_pylist()[1:]]
    place = table.column_names.index("label")
    table = table.set_column(place, "label", pa.array(labels, pa.string()))
    records.write_records(target, table.schema, table.to_batches())
    return target


def test_records_of_train_come_first_and_keep_their_labels(
    convnet: Path, few_images: dict[Part, Path]
) -> None:
    corpus = read_corpus(load_backbone(convnet), few_images)
    train, validation = (pq.read_table(few_images[part]) for part in ("train", "validation"))
    assert corpus.ids == train["id"].to_pylist() + validation["id"].to_pylist()
    assert corpus.labels == train["label"].to_pylist() + validation["label"].to_pylist()
    assert corpus.num_train == 120
    assert corpus.validation.tolist() == list(range(120, 160))
    assert [corpus.classes[place] for place in corpus.examples.labels] == corpus.labels
    assert corpus.named(corpus.validation).to_pydict() == {
        "id": validation["id"].to_pylist(),
        "label": validation["label"].to_pylist(),
    }


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_record_without_a_label_is_refused(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path, part: Part
) -> None:
    path = relabelled(few_images[part], tmp_path / f"{part}.parquet", None)
    with pytest.raises(BadInput, match=rf"{part}\.parquet: the label None does not stand in"):
        read_corpus(load_backbone(convnet), {**few_images, part: path})


def test_a_label_of_the_validation_split_alone_is_refused(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path
) -> None:
    path = relabelled(few_images["validation"], tmp_path / "validation.parquet", "ten")
    with pytest.raises(BadInput, match="the label 'ten' does not stand in the training split"):
        read_corpus(load_backbone(convnet), {**few_images, "validation": path})
