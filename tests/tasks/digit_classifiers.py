"""Two real classifiers of digits, and what they say about the same test records."""

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Scored
from tasks.promotion.comparison.comparison import Side

NUM_TRAIN = 600
LABELS = [f"digit {number}" for number in range(10)]


def digit_png(row: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray((row.reshape(8, 8) * 15).astype("uint8")).save(file, format="PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def digits() -> Labelled:
    """1,197 test images."""
    pixels, labels = load_digits(return_X_y=True)
    contents = [digit_png(row) for row in pixels[NUM_TRAIN:]]
    ids = [hashlib.sha256(content).hexdigest() for content in contents]
    return Labelled("image", ids, contents, [LABELS[n] for n in labels[NUM_TRAIN:]], 0)


def _side(name: str, model: Any, test: Labelled) -> Side:
    pixels, labels = load_digits(return_X_y=True)
    model.fit(pixels[:NUM_TRAIN], labels[:NUM_TRAIN])
    scores = model.predict_proba(pixels[NUM_TRAIN:])
    scored = Scored(labels[NUM_TRAIN:].astype(np.int64), scores.argmax(axis=1), scores)
    return Side(name, Predictions(test.ids, LABELS, scored))


@pytest.fixture(scope="session")
def strong(digits: Labelled) -> Side:
    """Logistic regression."""
    return _side("version 2", LogisticRegression(C=0.01, max_iter=200), digits)


@pytest.fixture(scope="session")
def weak(digits: Labelled) -> Side:
    """Naive Bayes, which is worse and far too confident."""
    return _side("version 1", GaussianNB(), digits)
