"""Cross-validation: the figures are scikit-learn's, fold by fold."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score

from tasks.evaluate.folds import fold_figures, folds_section

TRUE = ["corn", "earn", "corn", "earn", "corn", "earn"]
PREDICTED = ["corn", "earn", "earn", "earn", "earn", "corn"]
FOLDS = [1, 1, 2, 2, 3, 3]


def write(path: Path, count: int) -> Path:
    columns = {
        "id": pa.array([f"record {number}" for number in range(count)], pa.string()),
        "label": pa.array(TRUE[:count], pa.string()),
        "fold": pa.array(FOLDS[:count], pa.int64()),
        "predicted": pa.array(PREDICTED[:count], pa.string()),
        "score_corn": pa.array([0.5] * count, pa.float64()),
        "score_earn": pa.array([0.5] * count, pa.float64()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_mean_and_deviation_are_over_the_folds(tmp_path: Path) -> None:
    figures = fold_figures(write(tmp_path / "folds.parquet", 6))
    assert figures is not None
    assert (figures["number"], figures["n"]) == (3, 6)
    pairs = [(TRUE[start : start + 2], PREDICTED[start : start + 2]) for start in (0, 2, 4)]
    for name, each in (
        ("accuracy", [accuracy_score(*pair) for pair in pairs]),
        ("macro_f1", [f1_score(*pair, average="macro") for pair in pairs]),
    ):
        assert figures[name]["each"] == pytest.approx(each, abs=1e-6)
        assert figures[name]["mean"] == pytest.approx(np.mean(each), abs=1e-6)
        assert figures[name]["deviation"] == pytest.approx(np.std(each, ddof=1), abs=1e-6)


def test_the_card_shows_them(tmp_path: Path) -> None:
    section = folds_section(fold_figures(write(tmp_path / "folds.parquet", 6)))
    assert section.startswith("## Cross-validation\n\nThe 6 records of train and validation were")
    assert "| accuracy | 0.5000 | 0.5000 | 0.0000 to 1.0000 |" in section


def test_without_folds_there_are_no_figures_and_the_card_says_so(tmp_path: Path) -> None:
    figures = fold_figures(write(tmp_path / "folds.parquet", 0))
    assert figures is None
    assert "None was asked for (`finetune.folds`)" in folds_section(figures)
