"""Attributions add up to what they explain, for every kind of encoder."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.models.attribution import _embedding, _integrated_gradients, pixel_weights, word_weights
from tasks.models.classifier import Classifier, load_classifier
from tests.classifiers import add_wide_part, sample_texts, save_text_classifier

KINDS: dict[str, dict[str, Any]] = {
    "bert": {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 64},
    "gpt2": {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 64},
    "lstm": {"hidden_size": 16},
    "lstm by bytes": {"hidden_size": 16},
    "wordvectors": {"hidden_size": 16, "reader": "lstm", "reader_size": 8},
    "wordvectors, weighted": {"hidden_size": 16},
}


@pytest.fixture(scope="module", params=KINDS)
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    kind, _, pooling = request.param.partition(", ")
    architecture, *by_bytes = kind.split(" by bytes")
    save_text_classifier(
        folder,
        architecture,
        KINDS[request.param],
        4,
        pooling or "auto",
        by_bytes=bool(by_bytes),
    )
    loaded: Any = load_classifier(folder)
    if pooling:  # vectors of co-occurrence are 0 where no text has a token
        torch.nn.init.zeros_(loaded.model.encoder.embedding.weight[0])
    return loaded


def test_the_weights_of_the_tokens_add_up_to_the_change_of_the_logit(
    classifier: Classifier,
) -> None:
    model: Any = classifier.model
    batch = model.inputs(sample_texts()[0][:1]).batch(np.array([0]))
    baseline = torch.zeros_like(batch["input_ids"])
    embedding = _embedding(model.encoder)
    assert embedding is not None
    weights = _integrated_gradients(model, embedding, batch, baseline, 1)
    with torch.no_grad():
        logits = [
            model.logits({**batch, "input_ids": ids})[0, 1]
            for ids in (batch["input_ids"], baseline)
        ]
    assert weights.shape == batch["input_ids"].shape[1:]
    assert weights.sum() == pytest.approx(float(logits[0] - logits[1]), abs=2e-3)


def test_the_words_together_are_the_beginning_of_the_text(classifier: Classifier) -> None:
    text = f"Über {sample_texts()[0][1]}, twice — 東京!"
    pieces = word_weights(classifier, text, 0)
    assert text.startswith("".join(piece.text for piece in pieces))
    assert len(pieces) > 10
    assert max(abs(piece.weight) for piece in pieces) == 1.0
    assert word_weights(classifier, text, 0) == pieces


def test_a_word_of_bytes_has_the_blanks_behind_it_not_those_before(tmp_path: Path) -> None:
    save_text_classifier(tmp_path / "model", "lstm", KINDS["lstm"], num_steps=4, by_bytes=True)
    text = "  corn rose, 東京\n\n profit "
    pieces = word_weights(load_classifier(tmp_path / "model"), text, 0)
    words = ["  ", "corn ", "rose", ", ", "東京", "\n\n ", "profit", " "]
    assert [piece.text for piece in pieces] == words


def test_the_words_of_a_wide_part_speak_too_also_behind_the_last_token(tmp_path: Path) -> None:
    save_text_classifier(tmp_path / "model", "bert", KINDS["bert"], num_steps=4)
    text = f"{'corn ' * 80}and then\nthe profit"
    deep = word_weights(load_classifier(tmp_path / "model"), text, 0)
    add_wide_part(tmp_path / "model", ["profit of the company"])
    pieces = word_weights(load_classifier(tmp_path / "model"), text, 0)
    assert len(deep) < len(pieces)
    assert "".join(piece.text for piece in pieces) == text
    # The word counts, though the deep part has not seen it.
    assert pieces[-1].text == "profit"
    assert abs(pieces[-1].weight) == 1.0


def test_a_text_without_a_word_is_not_explained(classifier: Classifier) -> None:
    assert word_weights(classifier, "", 0) == []


def test_pixels_that_do_not_reach_the_logit_have_no_weight(tmp_path: Path) -> None:

    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    torch.manual_seed(0)
    settings = convnet.Settings(channels=8, hidden_size=8)
    ImageModel(convnet.build(settings, ImageTraits(1, 6, 8)), ["a", "b"]).save(tmp_path)
    file = io.BytesIO()
    drawn = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(drawn).save(file, "PNG")
    classifier = load_classifier(tmp_path)
    pixels, weights = pixel_weights(classifier, file.getvalue(), 1)
    assert pixels.tolist() == [drawn.tolist()]
    assert weights.shape == (6, 8)
    assert (weights.min() >= 0, weights.max()) == (True, 1.0)
    with torch.no_grad():
        classifier.model.module["head"][1].weight.zero_()
    assert not pixel_weights(classifier, file.getvalue(), 1)[1].any()
