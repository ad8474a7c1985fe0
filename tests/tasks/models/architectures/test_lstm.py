"""The LSTM's sizes."""

import torch

from tasks.inputs.traits import TextTraits
from tasks.models.architectures import lstm


def test_the_model_has_the_sizes_asked_for() -> None:
    model = lstm.build(lstm.Settings(layers=2, hidden_size=16, dropout=0.3), TextTraits(50, 0))
    assert (model.encoder.lstm.num_layers, model.encoder.lstm.dropout) == (2, 0.3)
    ids = torch.randint(0, 50, (3, 7))
    assert model.encoder(ids).last_hidden_state.shape == (3, 7, 16)
    assert model(ids).logits.shape == (3, 7, 50)


def test_embeddings_in_and_out_are_the_same_weights() -> None:
    model = lstm.build(lstm.Settings(hidden_size=16, dropout=0.0), TextTraits(50, 0))
    states = model.encoder(torch.arange(4)[None]).last_hidden_state
    expected = states @ model.encoder.embedding.weight.T
    assert torch.allclose(model(torch.arange(4)[None]).logits, expected, atol=1e-6)
