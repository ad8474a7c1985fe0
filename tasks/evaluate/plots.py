"""The plots of a model card: confusions, ROC curves and calibration.

Dimensions: N test records, K classes, B calibration bins.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.evaluate.evaluation import Evaluation
from tasks.metrics.scores import Ints, Scored, calibration_bin, confusion
from tasks.reports.drawing import ACCENT, INK, PALE, figure, plain_names

# Beyond these, numbers in the cells and one curve a class can no longer be told apart.
MOST_WRITTEN_CELLS = 400
MOST_CURVES = 10


def write_plots(folder: Path, evaluation: Evaluation, num_bins: int) -> None:
    """Write ``confusion.png``, ``roc.png`` and ``reliability.png``.

    Args:
        folder: where they go; it is made.
        evaluation: what is known about the model.
        num_bins: calibration bins, of equal width in [0, 1].
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = evaluation.model
    names = plain_names(evaluation.labels)
    side = min(max(4.5, 1.8 + 0.62 * len(names)), 16)
    with figure(folder / "confusion.png", side + 0.8, side) as axes:
        _draw_confusion(axes, confusion(model, len(names)), names)
    with figure(folder / "roc.png", 6.4, 5.2) as axes:
        _draw_roc(axes, model, names)
    with figure(folder / "reliability.png", 5.6, 5.2) as axes:
        _draw_reliability(axes, model, num_bins)


def _draw_confusion(axes: Any, counts: Ints, names: list[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names)) if len(names) <= 60 else []
    size = 10 if len(names) <= 20 else 7
    shown = [names[tick] for tick in ticks]
    axes.set_xticks(ticks, shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(ticks, shown, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusions: counts, shaded by share of the true class", fontsize=10)
    if counts.size > MOST_WRITTEN_CELLS:
        return
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else INK
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)


def _draw_roc(axes: Any, model: Scored, names: list[str]) -> None:
    from sklearn.metrics import auc, roc_curve

    curves = []
    for number, name in enumerate(names):
        is_class = model.true == number
        if 0 < is_class.sum() < len(is_class):
            x, y, _ = roc_curve(is_class, model.scores[:, number])
            curves.append((auc(x, y), name, x, y))
    curves.sort(key=lambda curve: curve[0])
    axes.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1)
    for area, name, x, y in curves[:MOST_CURVES]:
        axes.plot(x, y, linewidth=1.5, label=f"{name}: {area:.3f}")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    if curves:
        axes.legend(title="area, lowest first", loc="lower right", fontsize=9)
        which = f"the {MOST_CURVES} lowest of {len(curves)}" if len(curves) > MOST_CURVES else "all"
        axes.set_title(f"ROC, one class against the rest ({which})", fontsize=10)
    else:
        axes.set_title("ROC: not defined, all test records are of one class", fontsize=10)


def _draw_reliability(axes: Any, model: Scored, num_bins: int) -> None:
    bins = calibration_bin(model, num_bins)
    sizes = np.bincount(bins, minlength=num_bins)
    divisor = np.maximum(sizes, 1)
    accuracy = np.bincount(bins, model.correct, num_bins) / divisor
    confidence = np.bincount(bins, model.confidence, num_bins) / divisor
    left = np.arange(num_bins) / num_bins
    shares = sizes / len(bins)
    width = 1 / num_bins
    axes.bar(left, shares, width, align="edge", color=PALE, label="share of the records")
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfect")
    filled = sizes > 0
    axes.plot(confidence[filled], accuracy[filled], marker="o", color=ACCENT, label="accuracy")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("confidence (score of the predicted class)")
    axes.set_ylabel("accuracy, and share of the records")
    axes.set_title(f"Reliability, {num_bins} bins of equal width", fontsize=10)
    axes.legend(loc="upper left", fontsize=9)
