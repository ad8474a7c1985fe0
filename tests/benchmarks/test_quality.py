"""The rows of the quality benchmark."""

import pytest
import yaml

from benchmarks.quality import BERTS, CORPORA, make_params
from tasks.contracts.params import check_params


@pytest.mark.parametrize("size", BERTS)
def test_its_rows_of_each_size_are_valid(size: str) -> None:
    params = make_params(list(CORPORA), 3, size)
    check_params(yaml.safe_load(yaml.safe_dump(params)))
    assert len(params["backbones"]) == 9
    assert len(params["models"]) == 18
    with_twin = [name for name, row in params["models"].items() if row["finetune"]["twin"]]
    assert len(with_twin) == 12


def test_few_labels_are_finetuned_on_the_same_backbone() -> None:
    models = make_params(["r8"], 1, "small")["models"]
    assert {row["backbone"] for row in models.values()} == {"r8-0"}
    assert [row["finetune"].get("labels") for row in models.values()] == [None, 0.01, 0.05, 0.2]
