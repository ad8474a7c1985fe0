"""Both splits as one list of records, and which of them are chosen or held out."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import records
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.finetune.corpus import choose_few, say_what_lacks
from tasks.heads.classification import read_corpus
from tasks.inputs.documents import TokenInputs
from tasks.models.model import load_backbone

IDS = [f"record {number}" for number in range(200)]
LABELS = ["corn" if number % 10 == 0 else "earn" for number in range(200)]  # 20, 180


def relabelled(path: Path, target: Path, label: str | None) -> Path:
    """Give the first record of a split another label."""
    table = records.read_table(path)
    labels = [label, *table["label"].to_pylist()[1:]]
    column = table.column_names.index("label")
    table = table.set_column(column, "label", pa.array(labels, pa.string()))
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
    assert [corpus.classes[index] for index in corpus.examples.labels] == corpus.labels
    assert corpus.named(corpus.validation).to_pydict() == {
        "id": validation["id"].to_pylist(),
        "label": validation["label"].to_pylist(),
    }


def test_texts_are_not_held_but_mapped_from_the_token_cache(
    bert: Path, few_texts: dict[Part, Path]
) -> None:
    inputs = read_corpus(load_backbone(bert), few_texts).examples.inputs
    assert isinstance(inputs, TokenInputs)
    assert isinstance(inputs.tokens.base, np.memmap)
    assert not inputs.tokens.flags.writeable
    assert len(inputs.lengths) == sum(
        pq.read_metadata(path).num_rows for path in few_texts.values()
    )


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


def chosen(wanted: float, seed: int = 0) -> list[str]:
    return [IDS[index] for index in choose_few(IDS, LABELS, wanted, seed)]


@pytest.mark.parametrize(
    ("wanted", "corn", "earn"),
    [(0, 20, 180), (3, 3, 3), (50, 20, 50), (0.01, 1, 2), (0.05, 1, 9), (0.2, 4, 36)],
)
def test_so_many_of_each_class_or_such_a_share_are_chosen(
    wanted: float, corn: int, earn: int
) -> None:
    labels = dict(zip(IDS, LABELS, strict=True))
    assert Counter(labels[name] for name in chosen(wanted)) == {"corn": corn, "earn": earn}


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3))
def test_the_smaller_choice_is_contained_in_the_larger(one: int, other: int, seed: int) -> None:
    assert set(chosen(min(one, other), seed)) <= set(chosen(max(one, other), seed))


@given(st.permutations(range(40)))
def test_the_choice_does_not_depend_on_the_order_of_the_records(order: list[int]) -> None:
    ids, labels = IDS[:40], LABELS[:40]
    indices = choose_few([ids[i] for i in order], [labels[i] for i in order], 3, 0)
    assert {ids[order[index]] for index in indices} == {
        ids[i] for i in choose_few(ids, labels, 3, 0)
    }


def test_another_seed_chooses_others() -> None:
    assert set(chosen(5, seed=0)) != set(chosen(5, seed=1))


def test_a_class_with_too_few_records_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    say_what_lacks(LABELS, 50)
    expected = "labels: 50, but the class 'corn' has 20 records: all are used\n"
    assert capsys.readouterr().err == expected
    say_what_lacks(LABELS, 20)
    say_what_lacks(LABELS, 0.9)
    assert not capsys.readouterr().err
