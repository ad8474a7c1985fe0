"""Text models of our own: LSTMs and word vectors, in memory and on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.inputs.traits import TextTraits
from tasks.models.architectures import lstm, wordvectors
from tasks.models.text_layers import (
    LstmEncoder,
    LstmReader,
    WeightedMean,
    load_encoder_weights,
    new_lstm,
    read_config,
)

SETTINGS, TRAITS = lstm.Settings(hidden_size=8), TextTraits(20, 0)


@pytest.mark.parametrize("alone", [True, False])
def test_an_encoder_is_loaded_alone_or_from_a_larger_model(tmp_path: Path, alone: bool) -> None:
    model = lstm.build(SETTINGS, TRAITS)
    (model.encoder if alone else model).save_pretrained(tmp_path)
    assert read_config(tmp_path, lstm.Settings) == (SETTINGS, TRAITS)
    encoder = LstmEncoder(SETTINGS, TRAITS, 0.0)
    load_encoder_weights(encoder, tmp_path)
    saved = model.encoder.state_dict()
    assert all(value.equal(saved[name]) for name, value in encoder.state_dict().items())


def test_forget_gates_begin_open() -> None:
    lstm = new_lstm(4, 6, 2, 0.0)
    for layer in range(2):
        bias = getattr(lstm, f"bias_hh_l{layer}").detach()
        assert bias[6:12].tolist() == [1.0] * 6
        assert float(bias[:6].abs().max()) < 0.5


def test_a_reader_reads_from_left_to_right() -> None:
    reader = LstmReader(4, 6)
    states = torch.rand(2, 5, 4)
    other = torch.cat([states[:, :3], torch.rand(2, 2, 4)], dim=1)
    first, second = (reader(one).last_hidden_state for one in (states, other))
    assert torch.allclose(first[:, :3], second[:, :3], atol=1e-6)
    assert not torch.allclose(first[:, 3:], second[:, 3:], atol=1e-3)


def test_a_score_is_the_product_of_a_centres_and_a_contexts_vector() -> None:
    model = wordvectors.build(wordvectors.Settings(hidden_size=6), TextTraits(50, 0))
    centres, contexts = torch.tensor([3, 4]), torch.tensor([[5, 6, 7], [8, 9, 5]])
    assert float(model(centres, contexts).detach().abs().max()) == 0.0
    torch.nn.init.normal_(model.contexts.weight)
    scores = model(centres, contexts)
    expected = model.encoder.embedding.weight[4] @ model.contexts.weight[9]
    assert torch.allclose(scores[1, 1], expected)
    assert scores.shape == (2, 3)


def test_the_weighted_mean_is_that_of_the_paper_and_leaves_padding_out() -> None:
    generator = np.random.default_rng(0)
    vectors, shares = generator.normal(size=(5, 3)), np.array([0.5, 0.3, 0.15, 0.04, 0.01])
    texts = [[0, 1, 2], [3, 4], [0, 0, 4], [1]]
    means = np.array(
        [np.mean([1e-3 / (1e-3 + shares[t]) * vectors[t] for t in text], axis=0) for text in texts]
    )
    component = np.linalg.svd(means)[2][0]
    expected = means - np.outer(means @ component, component)
    expected /= np.sqrt((expected**2).mean())
    pooling = WeightedMean(5, 3)
    pooling.weigh(shares)
    ids = torch.tensor([text + [2] * (3 - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (3 - len(text)) for text in texts])
    states = torch.from_numpy(vectors).float()[ids]
    assert torch.allclose(pooling(ids, states, mask), torch.from_numpy(means).float(), atol=1e-6)
    pooling.fit(torch.from_numpy(means.T @ means / len(means)))
    found = pooling(ids, states, mask)
    assert found.numpy() == pytest.approx(expected, abs=1e-4)
    assert torch.allclose(pooling(ids[:1], states[:1], None), found[:1], atol=1e-6)
