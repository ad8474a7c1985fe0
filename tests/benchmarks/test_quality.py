"""The rows of the quality benchmark."""

import pytest
import yaml

from benchmarks.quality import BERTS, CORPORA, make_params, row_of
from tasks.contracts.params import check_params


@pytest.mark.parametrize("size", ["quick", *BERTS])
def test_its_rows_of_each_size_are_valid(size: str) -> None:
    params = make_params(list(CORPORA), 3, size)
    check_params(yaml.safe_load(yaml.safe_dump(params)))
    num_backbones = 1 if size == "quick" else 4
    assert len(params["backbones"]) == 3 * num_backbones
    assert len(params["models"]) == 6 * num_backbones
    assert {
        row["corpus"] for row in params["models"].values() if row["finetune"].get("twin", 1)
    } == {"r8"}


def test_few_labels_are_finetuned_on_the_same_backbones() -> None:
    models = make_params(["r8"], 1, "small")["models"]
    assert {row["backbone"] for row in models.values()} == {"r8-vectors", "r8-bert-0"}
    shares = [None, 0.01, 0.05, 0.2]
    assert [row["finetune"].get("labels") for row in models.values()] == 2 * shares
    assert [row_of(name) for name in models] == [
        ("r8", method, share) for method in ("vectors", "bert") for share in shares
    ]
