"""Cross-validation: what the folds' models say about the records that each was not shown.

``finetune`` trains them and writes ``folds.parquet``; here are the figures and the card's section.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import records
from tasks.metrics import scores
from tasks.metrics.scores import Answers
from tasks.reports.markdown import table

NAMES = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
}
DIGITS = 6


def fold_figures(path: Path) -> dict[str, Any] | None:
    """Return each metric's mean and deviation over the folds; None where there are no folds.

    Args:
        path: ``folds.parquet``; empty where ``finetune`` was not asked to cross-validate.

    Returns:
        ``number`` of folds, ``n`` records, and for each metric ``mean``, ``deviation`` (of a
        sample: divided by the folds less one) and ``each``, one value a fold.
    """
    predictions = records.read_table(path)
    if not predictions.num_rows:
        return None
    folds = sorted(pc.unique(predictions["fold"]).to_pylist())
    each = [_figures(predictions.filter(pc.equal(predictions["fold"], fold))) for fold in folds]
    found: dict[str, Any] = {"number": len(folds), "n": predictions.num_rows}
    for name in NAMES:
        values = [figures[name] for figures in each]
        found[name] = {
            "mean": round(float(np.mean(values)), DIGITS),
            "deviation": round(float(np.std(values, ddof=1)), DIGITS),
            "each": [round(value, DIGITS) for value in values],
        }
    return found


def _figures(held_out: pa.Table) -> dict[str, float]:
    true, predicted = held_out["label"].to_pylist(), held_out["predicted"].to_pylist()
    known = {label: place for place, label in enumerate(sorted({*true, *predicted}))}
    answers = Answers(*(np.array([known[label] for label in part]) for part in (true, predicted)))
    counts = scores.once_each(len(true))
    found = {
        "accuracy": scores.accuracy(counts, answers),
        **scores.macro_scores(counts, answers, len(known)),
    }
    return {name: float(value[0]) for name, value in found.items()}


def folds_section(figures: dict[str, Any] | None) -> str:
    """Return the card's section on cross-validation; it says so where there was none."""
    if figures is None:
        return (
            "## Cross-validation\n\nNone was asked for (`finetune.folds`), so how much the figures "
            "depend on which records were trained on is not known."
        )
    number = figures["number"]
    rows = [
        [
            name,
            f"{figures[key]['mean']:.4f}",
            f"{figures[key]['deviation']:.4f}",
            f"{min(figures[key]['each']):.4f} to {max(figures[key]['each']):.4f}",
        ]
        for key, name in NAMES.items()
    ]
    return (
        f"## Cross-validation\n\nThe {figures['n']:,} records of train and validation were dealt "
        f"into {number} folds, each class evenly. {number} further models, with the settings of "
        f"this one, were each trained on the records outside one fold and judged by that fold. "
        "They were trained for as many epochs as this model was best at on the validation split, "
        "whose records are among the folds: the figures may flatter by as much as that choice "
        "does.\n\n" + table(["metric", "mean", "standard deviation", "lowest to highest"], rows)
    )
