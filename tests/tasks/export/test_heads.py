"""An exported head gives the answers of the model, to each test record."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.export import predict
from tasks.export.network import write_network
from tasks.heads import _evidence as evidence
from tests.tasks.heads.conftest import (
    Finetuned,
    backbone,
    causal_backbone,
    corpora,
    finetuned,
)

__all__ = ["backbone", "causal_backbone", "corpora", "finetuned"]


def test_a_regression_gives_the_same_values(
    finetuned: Callable[[str], Finetuned], tmp_path: Path
) -> None:
    made = finetuned("regression")
    write_network(made.model, tmp_path / "written")
    test = evidence.read_test(made.splits["test"], "regression")
    recorded = evidence.read_predictions(made.evidence / "predictions.parquet", test)
    answers = predict.load(tmp_path / "written").answers(test.contents)
    assert len(answers) > 50
    assert answers == pytest.approx(recorded, abs=1e-4)
    assert predict.load(tmp_path / "written").answers([]) == []
