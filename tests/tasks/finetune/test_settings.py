"""What can be asked of finetuning, and what is refused."""

import pickle
from typing import Any

import pytest

from tasks.errors import BadSettings
from tasks.finetune.settings import Settings

WHERE = "models.topics.finetune"


@pytest.mark.parametrize("labels", [0, 5, 0.01, 0.2])
def test_labels_are_a_number_of_records_or_a_share(labels: float) -> None:
    settings = Settings.parse({"labels": labels}, WHERE)
    assert settings.labels == labels
    assert type(settings.labels) is type(labels)
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"labels": 5.0},
            r"finetune\.labels: expected a whole number from 0 \(all\), or a share between 0 and "
            r"1, found 5\.0",
        ),
        ({"labels": -1}, r"finetune\.labels: expected a whole number .*, found -1"),
        ({"labels": True}, r"finetune\.labels: expected a whole number .*, found True"),
        ({"folds": 1}, r"finetune\.folds: one fold leaves nothing to train on: .*, found 1"),
        ({"folds": -1}, r"finetune\.folds: input should be greater than or equal to 0, found -1"),
        ({"repeats": 2, "twin": False}, "repeats are of model and twin: leave twin: true, or drop"),
        ({"repeats": 0}, r"finetune\.repeats: input should be greater than or equal to 1"),
        ({"layer_decay": 0}, r"finetune\.layer_decay: input should be greater than 0, found 0"),
        ({"layer_decay": 1.1}, r"layer_decay: input should be less than or equal to 1, found 1\.1"),
        ({"mode": "frozen", "layer_decay": 0.9}, "layer_decay changes nothing in mode: frozen"),
        ({"mode": "frozen", "lora": {"rank": 4}}, "lora changes nothing in mode: frozen: set mode"),
        ({"lora": {"targets": ["query"]}}, "lora changes nothing in mode: full: set mode: lora"),
        ({"mode": "lora", "lora": {"rank": 0}}, r"lora\.rank: input should be greater than or"),
        ({"mode": "lora", "lora": {"rnk": 4}}, r"lora\.rnk: unknown key; .*did you mean 'rank'\?"),
        (
            {"mode": "frozen", "solver": "lbfgs", "twin": False, "sgd": {}},
            "sgd changes nothing with solver: lbfgs and no twin: drop it",
        ),
        ({"mode": "half"}, r"mode: input should be 'full', 'frozen' or 'lora', found 'half'"),
        ({"wide": {"words": [2, 1]}}, r"wide\.words: expected the smallest and the largest size"),
        ({"wide": {"characters": [0, 1]}}, r"wide\.characters: expected the smallest and the la"),
        ({"wide": {"words": [1]}}, r"wide\.words: expected the smallest and the largest size"),
        ({"refit": True, "labels": 5}, "refit would train on all labels of the validation split"),
        ({"class_weights": "even"}, r"class_weights: input should be 'none' or 'balanced'"),
        ({"label_smoothing": 1}, r"label_smoothing: input should be less than 1, found 1"),
    ],
)
def test_what_makes_no_sense_is_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        Settings.parse(raw, WHERE)
