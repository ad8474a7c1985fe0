"""GPT-2's sizes."""

import pytest

from tasks.errors import BadSettings
from tasks.inputs.traits import TextTraits
from tasks.models.architectures import gpt2


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(BadSettings, match=r"heads \(3\) must divide hidden_size \(64\)"):
        gpt2.Settings.parse({"heads": 3, "hidden_size": 64}, "pretrain.gpt2")


def test_the_model_has_the_sizes_asked_for_and_ties_its_embeddings() -> None:
    settings = gpt2.Settings(layers=2, hidden_size=16, heads=2, positions=32, dropout=0.2)
    model = gpt2.build(settings, TextTraits(50, 0))
    config = model.config
    assert (config.n_layer, config.n_embd, config.n_head, config.n_positions) == (2, 16, 2, 32)
    assert (config.embd_pdrop, config.resid_pdrop, config.attn_pdrop) == (0.2, 0.2, 0.2)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert (config.pad_token_id, config.eos_token_id) == (None, 3)
