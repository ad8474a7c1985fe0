"""What pretraining gains, over several pairs of model and twin (``finetune.repeats``).

Each pair was trained from another seed and, in a few-label study, on other records. All of them
share the backbone, whose pretraining was not repeated.

Dimensions: R pairs, N test records.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts.paths import LABELS, REPEATS
from tasks.evaluate.baselines import linear_baseline, with_same_labels
from tasks.metrics.intervals import Interval, over_repeats
from tasks.metrics.predictions import Labelled, classify, label_indices
from tasks.metrics.scores import Answers, Ints, mean_and_deviation, rounded

if TYPE_CHECKING:
    from tasks.models.classifier import Classifier

Pair = Mapping[str, Answers]
"""What the ``model``, its ``twin`` and the ``linear`` baseline of one repeat say."""


def further_pairs(
    twin: Path,
    train: Labelled,
    test: Labelled,
    true: Ints,
    score: "Callable[[Classifier], Callable[[slice], Any]]",
) -> list[Pair]:
    """Score the pairs that were trained beside the first.

    Args:
        twin: the twin's folder, where ``finetune`` keeps them.
        train: all labelled records of train and validation.
        test: the test records.
        true: the index of each one's class, N.
        score: returns what scores slices of the test records with a classifier.
    """
    from tasks.models.classifier import load_classifier

    pairs: list[Pair] = []
    folders = sorted(twin.glob(f"{REPEATS}/*"), key=lambda folder: int(folder.name))
    for folder in folders:
        pair: dict[str, Answers] = {}
        for part in ("model", "twin"):
            classifier = load_classifier(folder / part)
            name = f"{part}, repeat {folder.name}"
            pair[part] = classify(name, score(classifier), test, true)
        given = with_same_labels(train, folder / LABELS)
        linear = linear_baseline(test.modality, given.contents, given.labels, test.contents)
        known = label_indices(linear, classifier.labels, folder, folder / "model")
        pairs.append({**pair, "linear": Answers(true, known)})
    return pairs


def repeat_metrics(pairs: Sequence[Pair]) -> dict[str, Any] | None:
    """Return what several pairs say together; None where there is one.

    Args:
        pairs: the first pair, of which the model is the one that is registered, and all others.

    Returns:
        ``number`` of pairs; and of ``accuracy``, ``twin``, ``linear`` (accuracies), ``gain`` (over
        the twin) and ``lead`` (over the linear baseline): ``mean``, sample ``deviation``, ``each``
        and ``interval``, which covers the pairs and the test records.
    """
    if len(pairs) < 2:
        return None
    right = {
        name: np.stack([pair[name].correct for pair in pairs]).astype(float)
        for name in ("model", "twin", "linear")
    }
    measured = {
        "accuracy": (right["model"], 0.0),
        "twin": (right["twin"], 0.0),
        "linear": (right["linear"], 0.0),
        "gain": (right["model"] - right["twin"], -1.0),
        "lead": (right["model"] - right["linear"], -1.0),
    }
    summary: dict[str, Any] = {"number": len(pairs)}
    for name, (values, lowest) in measured.items():
        each = values.mean(axis=1)
        summary[name] = {
            **mean_and_deviation(each),
            "interval": _ends(over_repeats(values), lowest),
        }
    return summary


def _ends(interval: Interval, lowest: float) -> list[float] | None:
    """Return an interval within what a share, or a difference of two, can be."""
    return interval and [rounded(min(max(end, lowest), 1.0)) for end in interval]
