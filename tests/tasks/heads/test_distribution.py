"""A regression that learns how probable its values are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.contracts import files, paths
from tasks.errors import BadSettings
from tasks.export import predict
from tasks.export.network import write_network
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings
from tasks.heads import _distribution, regression
from tasks.heads._model import load_predictor
from tasks.heads._targets import read_targets
from tasks.models.model import DESCRIPTION
from tests.tasks.heads.conftest import Splits


def test_each_of_few_values_is_a_range_of_its_own() -> None:
    facts = _distribution.facts_of([5.0, 1.0, 2.5, 5.0, 1.0], "median")
    assert facts == {"distribution": "median", "begins": [2.5, 5.0], "values": [1.0, 2.5, 5.0]}


def test_many_values_are_in_ranges_of_about_as_many_records() -> None:
    values = np.random.default_rng(0).normal(size=3200)
    facts = _distribution.facts_of(list(values), "mean")
    of_value = np.searchsorted(facts["begins"], values, side="right")
    counts = np.bincount(of_value)
    assert len(counts) == 32 == len(facts["values"])
    assert counts.min() >= 99
    assert counts.max() <= 101
    assert facts["values"][7] == pytest.approx(values[of_value == 7].mean())


def test_no_range_is_empty_where_nearly_all_values_are_the_same() -> None:
    low = _distribution.facts_of([0.0] * 5000 + list(range(1, 41)), "median")
    assert low["begins"] == [1]
    assert low["values"] == [0, 20.5]
    high = _distribution.facts_of([99.0] * 5000 + list(range(40)), "median")
    assert high["begins"] == [99]
    assert high["values"] == [19.5, 99]


def test_the_loss_is_the_cross_entropy_of_the_range_that_a_value_lies_in() -> None:
    facts = _distribution.facts_of([0.1, 0.2, 0.3], "median")
    logits = torch.randn(5, 3, generator=torch.manual_seed(0))
    values = torch.tensor([0.1, 0.2, 0.25, 0.3, 9.0])
    logs = torch.log_softmax(logits, dim=1)
    expected = -sum(logs[row, given] for row, given in enumerate([0, 1, 1, 2, 2]))
    assert _distribution.loss(facts, logits, values).item() == pytest.approx(float(expected))


def test_the_answer_is_the_median_or_the_mean_of_the_values() -> None:
    logits = np.log([[0.2, 0.2, 0.6], [0.6, 0.3, 0.1], [0.3, 0.3, 0.4]]).astype(np.float32)
    facts = {"begins": [2.0, 4.0], "values": [1.0, 2.0, 4.0]}
    assert _distribution.decode({**facts, "distribution": "median"}, logits) == [4.0, 1.0, 2.0]
    means = _distribution.decode({**facts, "distribution": "mean"}, logits)
    assert means == pytest.approx([3.0, 1.6, 2.5])


def test_a_trained_and_an_exported_model_answer_with_it(
    corpora: dict[str, Splits], backbone: Path, tmp_path: Path
) -> None:
    splits = corpora["reviews"]
    settings = Settings(
        head="regression", distribution="mean", epochs=2, learning_rate=0.01, twin=False
    )
    trained: Splits = {part: splits[part] for part in paths.TRAINED_ON}
    finetune.run("row", backbone, trained, tmp_path / "out", settings, 0, tmp_path / "kept")
    texts = regression.contents_of(read_targets(splits["test"], ("value",)))
    model = tmp_path / "out" / "model"
    means = load_predictor(model).answers(texts)
    stars = {1.0, 2.0, 3.0, 4.0, 5.0}
    assert len({*means} - stars) == len(texts)
    assert all(1 < value < 5 for value in means)
    write_network(model, tmp_path / "of-means")
    assert predict.load(tmp_path / "of-means").answers(texts) == pytest.approx(means, abs=1e-4)
    # Each star is a range of its own, whichever of the two is asked for.
    about = files.read_json(model / DESCRIPTION)
    assert about["facts"]["values"] == sorted(stars)
    about["facts"]["distribution"] = "median"
    files.write_json(model / DESCRIPTION, about)
    medians = load_predictor(model).answers(texts)
    assert {*medians} <= stars
    write_network(model, tmp_path / "of-medians")
    assert predict.load(tmp_path / "of-medians").answers(texts) == medians


def test_another_head_has_no_distribution() -> None:
    for head in ("multilabel", "classification"):
        with pytest.raises(BadSettings, match="distribution is of head: regression alone"):
            Settings.parse({"head": head, "distribution": "median"}, "models.row.finetune")
