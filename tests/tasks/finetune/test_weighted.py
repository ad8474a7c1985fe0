"""The weighted mean of word vectors, learnt before a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.finetune import stage
from tasks.finetune.frozen import with_features
from tasks.finetune.settings import Settings
from tasks.finetune.weighted import fit_pooling
from tasks.heads.classification import read_corpus
from tasks.models.model import load_backbone, load_model

SETTINGS = Settings(epochs=2, labels=8, pooling="weighted")


def test_what_all_texts_have_in_common_is_gone_and_what_is_left_has_unit_size(
    vectors: Path, few_texts: dict[Part, Path]
) -> None:
    backbone = load_backbone(vectors)
    corpus = read_corpus(backbone, few_texts)
    some = corpus.examples.take(np.arange(100))
    model: Any = backbone.model(corpus.classes, pooling="weighted")
    before = with_features(model, some).batch(np.arange(100))["features"].double()
    fit_pooling(model, some)
    after = with_features(model, some).batch(np.arange(100))["features"].double()
    component = model.module["weighted"].component.double()
    largest = np.linalg.svd(before.numpy())[2][0]
    assert abs(component.numpy() @ largest) == pytest.approx(1, abs=1e-4)
    assert (after @ component).abs().max() < 1e-3
    assert float(after.square().mean()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("mode", ["full", "frozen"])
def test_model_and_twin_have_a_weighted_mean_of_their_own_and_repeat_to_the_byte(
    vectors: Path, few_texts: dict[Part, Path], tmp_path: Path, mode: str
) -> None:
    settings = SETTINGS.model_copy(update={"mode": mode})
    for name in ("one", "two"):
        output, kept = tmp_path / name, tmp_path / f"{name}-checkpoints"
        stage.run("small", vectors, few_texts, output, settings, 0, kept)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    model, twin = (load_model(tmp_path / "one" / part).module for part in ("model", "twin"))
    assert model["weighted"].weights.equal(twin["weighted"].weights)
    assert not model["weighted"].component.equal(twin["weighted"].component)
    pretrained: Any = load_backbone(vectors).model(["a", "b"]).encoder
    is_as_before = model["encoder"].embedding.weight.equal(pretrained.embedding.weight)
    assert is_as_before == (mode == "frozen")
