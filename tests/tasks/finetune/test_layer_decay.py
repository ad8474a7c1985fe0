"""Rates by depth: how deep each parameter lies, and in which group it stands."""

import pytest
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

from tasks.finetune.layer_decay import decayed_groups, depths_below

BERT = BertConfig(
    vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16
)
GPT2 = GPT2Config(
    vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=0
)


def by_name(backbone: nn.Module) -> dict[str, int]:
    depths = depths_below(backbone)
    return {name: depths[value] for name, value in backbone.named_parameters()}


def test_bert_counts_from_its_pooler_down_to_its_embeddings() -> None:
    for name, depth in by_name(BertModel(BERT)).items():
        if name.startswith("encoder.layer."):
            assert depth == 3 - int(name.split(".")[2]), name
        else:
            assert depth == {"embeddings": 4, "pooler": 0}[name.split(".")[0]], name


def test_gpt2_counts_from_its_last_norm_down_to_its_embeddings() -> None:
    depths = {name.split(".")[0]: set[int]() for name in by_name(GPT2Model(GPT2))}
    for name, depth in by_name(GPT2Model(GPT2)).items():
        depths[name.split(".")[0]].add(depth)
    assert depths == {"wte": {3}, "wpe": {3}, "h": {1, 2}, "ln_f": {0}}


def test_a_norm_belongs_to_the_convolution_before_it() -> None:
    encoder = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.GroupNorm(8, 8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten()
    )
    assert by_name(encoder) == {
        "0.weight": 2, "0.bias": 2, "1.weight": 2, "1.bias": 2, "3.weight": 1, "3.bias": 1
    }  # fmt: skip


def test_without_a_list_of_layers_the_parts_are_the_layers() -> None:
    parts = nn.ModuleDict({"embeddings": nn.Embedding(5, 4), "recurrent": nn.LSTM(4, 4)})
    assert set(by_name(parts["embeddings"]).values()) == {1}
    depths = by_name(parts)
    assert depths.pop("embeddings.weight") == 2
    assert set(depths.values()) == {1}


def test_each_layer_has_the_rate_of_the_one_above_it_times_the_decay() -> None:
    model = nn.ModuleDict({"encoder": BertModel(BERT), "head": nn.Linear(8, 2)})
    groups = decayed_groups(model, model["encoder"], 0.5)
    assert [group["scale"] for group in groups] == [1, 0.5, 0.25, 0.125, 0.0625]
    encoder = model["encoder"]
    expected = [
        [*encoder.pooler.parameters(), *model["head"].parameters()],
        *(list(layer.parameters()) for layer in reversed(encoder.encoder.layer)),
        list(encoder.embeddings.parameters()),
    ]
    for group, values in zip(groups, expected, strict=True):
        assert list(map(id, group["params"])) == list(map(id, values))


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_every_parameter_stands_in_one_group(decay: float) -> None:
    model = nn.ModuleDict({"encoder": GPT2Model(GPT2), "head": nn.Linear(8, 2)})
    groups = decayed_groups(model, model["encoder"], decay)
    found = [id(value) for group in groups for value in group["params"]]
    assert sorted(found) == sorted(map(id, model.parameters()))
