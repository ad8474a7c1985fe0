"""The linear baseline: what the same records and the same labels give without any pretraining.

Text: TF-IDF and a linear support vector machine. Images: logistic regression on pixels. A model
that does not beat it has not earned its cost.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.contracts import records
from tasks.contracts.images import opened
from tasks.contracts.records import Modality
from tasks.corpora.scripts import words_are_spaced
from tasks.metrics.predictions import Labelled

# Larger images are shrunk: a linear model gains nothing from more, and its cost grows with them.
LARGEST_SIDE_PIXELS = 32


def with_same_labels(train: Labelled, chosen: Path) -> Labelled:
    """Return those records that the model was trained on.

    So the baseline gets the labels that the model got, in few-label studies too.

    Args:
        train: the labelled records of the train split, or of train and validation.
        chosen: ``labels.parquet``, the ``id`` and ``label`` of each record trained on.
    """
    table = records.read_table(chosen)
    known = set(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
    pairs = zip(train.ids, train.labels, strict=True)
    kept = [index for index, pair in enumerate(pairs) if pair in known]
    return replace(
        train,
        ids=[train.ids[index] for index in kept],
        contents=[train.contents[index] for index in kept],
        labels=[train.labels[index] for index in kept],
    )


def train_and_validation(train: Labelled, validation: Labelled) -> Labelled:
    """Return the records of the train split, and those of the validation split that it lacks.

    ``with_same_labels`` leaves of them what ``finetune`` has learnt, with ``refit`` and without.
    """
    known = set(train.ids)
    kept = [index for index, name in enumerate(validation.ids) if name not in known]
    return replace(
        train,
        ids=[*train.ids, *(validation.ids[index] for index in kept)],
        contents=[*train.contents, *(validation.contents[index] for index in kept)],
        labels=[*train.labels, *(validation.labels[index] for index in kept)],
    )


def linear_baseline(
    modality: Modality, train: Sequence[Any], labels: Sequence[str], test: Sequence[Any]
) -> list[str]:
    """Train the baseline, and return the class that it gives to each test record.

    Args:
        modality: ``text`` or ``image``.
        train: texts, or encoded images.
        labels: the class of each.
        test: the same as ``train``, of the test split.
    """
    if len(set(labels)) == 1:
        return [labels[0]] * len(test)
    with warnings.catch_warnings():
        # Not converged to the last digit is good enough, and not news to the user.
        warnings.filterwarnings("ignore", message=".*failed to converge")
        if modality == "text":
            return _text_baseline(train, labels, test)
        return _image_baseline(train, labels, test)


def _text_baseline(train: Sequence[str], labels: Sequence[str], test: Sequence[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    if words_are_spaced(train):
        features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    else:
        features = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    baseline = make_pipeline(features, LinearSVC(random_state=0))
    return [str(label) for label in baseline.fit(train, labels).predict(test)]


def _image_baseline(
    train: Sequence[bytes], labels: Sequence[str], test: Sequence[bytes]
) -> list[str]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    size, mode = common_shape(train)
    classifier = LogisticRegression(max_iter=1000)
    # Products as small as these gain nothing from threads. Where another stage has the cores,
    # waiting for each other took them a hundred times as long.
    with threadpool_limits(1, "blas"):
        classifier.fit(pixels(train, size, mode), labels)
        return [str(label) for label in classifier.predict(pixels(test, size, mode))]


def common_shape(images: Sequence[bytes]) -> tuple[tuple[int, int], str]:
    """Return the most common width and height (at most 32 pixels) and grey (L) or colour (RGB)."""
    shapes = Counter((image.size, image.mode) for image in _opened(images))
    width, height = min(shapes, key=lambda shape: (-shapes[shape], shape))[0]
    largest = LARGEST_SIDE_PIXELS
    is_grey = all(mode in ("1", "L", "I", "I;16", "F") for _, mode in shapes)
    return (min(width, largest), min(height, largest)), "L" if is_grey else "RGB"


def pixels(images: Sequence[bytes], size: tuple[int, int], mode: str) -> Any:
    """Return one row of pixel values in [0, 1] an image, N P.

    Args:
        images: encoded, N.
        size: width and height that each is brought to.
        mode: Pillow's, ``L`` or ``RGB``; P is width times height, three times that in colour.
    """
    import numpy as np

    rows = [np.asarray(image.convert(mode).resize(size)).ravel() for image in _opened(images)]
    return np.stack(rows).astype(np.float64) / 255


def _opened(images: Sequence[bytes]) -> Iterator[Any]:
    for image in images:
        yield opened(image, "an image of the split")
