"""Word vectors."""

import torch

from tasks.inputs.traits import TextTraits
from tasks.models.architectures import wordvectors


def test_a_score_is_the_product_of_a_centres_and_a_contexts_vector() -> None:
    model = wordvectors.build(wordvectors.Settings(hidden_size=6), TextTraits(50, 0))
    centres, contexts = torch.tensor([3, 4]), torch.tensor([[5, 6, 7], [8, 9, 5]])
    assert float(model(centres, contexts).detach().abs().max()) == 0.0
    torch.nn.init.normal_(model.contexts.weight)
    scores = model(centres, contexts)
    expected = model.encoder.embedding.weight[4] @ model.contexts.weight[9]
    assert torch.allclose(scores[1, 1], expected)
    assert scores.shape == (2, 3)
