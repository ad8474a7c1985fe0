"""Which labels of a corpus are likely wrong: a report for a person, who alone changes labels.

A linear model, the one that ``evaluate`` compares with, says of each record what its class is
without having learnt from it (out of fold). Its scores are made probabilities by one temperature,
the best for the labels as they are. ``cleanlab`` (Northcutt et al., 2021,
https://arxiv.org/abs/1911.00068) tells from them how many labels are wrong; listed are so many of
the records whose own label has the least probability.
"""

import csv
import io
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts import files, paths
from tasks.contracts.records import Modality
from tasks.corpora.corrections import read_corrections
from tasks.errors import BadInput
from tasks.evaluate.baselines import common_shape, pixels, words_are_spaced
from tasks.metrics.predictions import Labelled, read_labelled

FOLDS = 5
COLUMNS = ("id", "label", "given", "confidence", "content")
"""Of the report: ``label`` is what the model says, ``given`` what the record has."""
_CONTENT_CHARACTERS = 200
_MAXIMUM_SCALE = 100.0


@dataclass(frozen=True)
class Suspect:
    """A record whose label is likely wrong."""

    identity: str
    given: str
    suggested: str
    confidence: float
    """The probability of its own label, out of fold."""
    content: Any


@dataclass(frozen=True)
class Review:
    """What was found in the labels of a corpus."""

    suspects: list[Suspect]
    """The least probable labels first."""
    num_records: int
    too_rare: list[str]
    """Classes with too few records to be judged."""
    num_decided: int
    """Suspects that ``corrections.csv`` has, which are not listed again."""


def review_labels(corpus: str) -> Review:
    """Judge the labels of train and validation; an official test split keeps its labels anyway.

    Raises:
        BadInput: there are no splits or labels yet, or too few records of two classes.
    """
    parts = []
    for part in paths.TRAINED_ON:
        path = paths.split(corpus, part)
        if not path.is_file():
            raise BadInput(f"{path} does not exist yet: `downstream run split@{corpus}`")
        parts.append(read_labelled(path))
    ids = [identity for part in parts for identity in part.ids]
    labelled = Labelled(
        modality=parts[0].modality,
        ids=ids,
        contents=[content for part in parts for content in part.contents],
        labels=[label for part in parts for label in part.labels],
        num_unlabelled=0,
    )
    return likely_wrong(labelled, set(read_corrections(paths.sources(corpus))))


def likely_wrong(labelled: Labelled, decided: set[str] | None = None) -> Review:
    """Return the records whose labels are likely wrong.

    Args:
        labelled: the records.
        decided: ids of records whose labels a person has decided.

    Raises:
        BadInput: fewer than two classes have as many records as there are folds.
    """
    from cleanlab.filter import find_label_issues

    counts = Counter(labelled.labels)
    too_rare = sorted(label for label, count in counts.items() if count < FOLDS)
    names = sorted(counts.keys() - {*too_rare})
    if len(names) < 2:
        raise BadInput(
            f"two classes with {FOLDS} records or more are needed to judge labels; "
            f"{len(names)} of {len(counts)} have them"
        )
    kept = [index for index, label in enumerate(labelled.labels) if label in {*names}]
    number_of = {name: number for number, name in enumerate(names)}
    given = np.array([number_of[labelled.labels[index]] for index in kept])
    contents = [labelled.contents[index] for index in kept]
    chances = probabilities(labelled.modality, contents, given)
    wrong = find_label_issues(given, chances, filter_by="low_self_confidence", n_jobs=1)
    confidence = chances[np.arange(len(given)), given]
    found = sorted(np.flatnonzero(wrong).tolist(), key=lambda row: (confidence[row], kept[row]))
    suspects = [
        Suspect(
            labelled.ids[kept[row]],
            names[given[row]],
            names[int(chances[row].argmax())],
            float(confidence[row]),
            contents[row],
        )
        for row in found
        # Where the model has no other class to name, it has no say.
        if chances[row].argmax() != given[row]
    ]
    listed = [suspect for suspect in suspects if suspect.identity not in (decided or set())]
    return Review(listed, len(kept), too_rare, len(suspects) - len(listed))


def probabilities(modality: Modality, contents: Sequence[Any], given: np.ndarray) -> np.ndarray:
    """Return for each record the probability of each class, from a model that has not seen it.

    Args:
        modality: ``text`` or ``image``.
        contents: texts, or encoded images, N.
        given: the number of each record's class, N; each class is there at least ``FOLDS`` times.
    """
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    features, make = _linear(modality, contents)
    scores = np.zeros((len(given), int(given.max()) + 1))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    # As in ``evaluate``: small products gain nothing from threads, which wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.filterwarnings("ignore", message=".*failed to converge")
        for learnt, judged in folds.split(features, given):
            model = make().fit(features[learnt], given[learnt])
            decided = model.decision_function(features[judged])
            scores[judged] = np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided
    return _calibrated(scores, given)


def _linear(modality: Modality, contents: Sequence[Any]) -> tuple[Any, Any]:
    """Return the features of ``evaluate``'s linear baseline, and what makes its classifier."""
    if modality == "text":
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC

        if words_are_spaced(contents):
            vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        else:
            vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
        return vectors.fit_transform(contents), lambda: LinearSVC(random_state=0)
    from sklearn.linear_model import LogisticRegression

    return pixels(contents, *common_shape(contents)), lambda: LogisticRegression(max_iter=1000)


def _calibrated(scores: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the softmax of scores, scaled so that the labels as they are become most likely."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(given))

    def loss(scale: float) -> float:
        return -float(log_softmax(scores * scale, axis=1)[rows, given].mean())

    best = minimize_scalar(loss, bounds=(1e-3, _MAXIMUM_SCALE), method="bounded").x
    chances: np.ndarray = np.exp(log_softmax(scores * best, axis=1))
    return chances


def write_report(review: Review, path: Path) -> None:
    """Write the suspects as a csv file, of which a person copies ``id`` and ``label``.

    Args:
        review: what was found.
        path: the file.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in review.suspects:
        content = each.content if isinstance(each.content, str) else ""
        writer.writerow(
            (
                each.identity,
                each.suggested,
                each.given,
                f"{each.confidence:.4f}",
                " ".join(content.split())[:_CONTENT_CHARACTERS],
            )
        )
    files.write_text(path, text.getvalue())
