"""LoRA: what is adapted, what is trained, what merging changes; and rates by depth."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

from tasks.errors import BadInput
from tasks.finetune.parameters import (
    add_adapters,
    decayed_groups,
    depths_below,
    merge_adapters,
)
from tasks.finetune.settings import LoraSettings

SETTINGS = LoraSettings(rank=2, dropout=0.0)
SELF = "encoder.layer.{}.attention.self"
IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 0]])


def bert() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertModel(BertConfig(vocab_size=20, intermediate_size=16, **sizes)).eval()


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2Model(GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, **ends)).eval()


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)
    )


def output(backbone: nn.Module) -> torch.Tensor:
    if isinstance(backbone, nn.Sequential):
        return backbone(torch.arange(32.0).reshape(2, 1, 4, 4) / 32)
    return backbone(input_ids=IDS).last_hidden_state


def trained(backbone: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in backbone.named_parameters() if value.requires_grad}


def learn(backbone: nn.Module) -> None:
    """Take some steps towards outputs of one."""
    optimizer = torch.optim.Adam(trained(backbone).values(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        ((output(backbone) - 1) ** 2).mean().backward()
        optimizer.step()


def adapted_layers(backbone: nn.Module) -> set[str]:
    return {name.split(".lora_")[0] for name in trained(backbone)}


@pytest.mark.parametrize(
    ("make", "targets", "expected"),
    [
        (bert, [], {f"{SELF.format(i)}.{name}" for i in "01" for name in ("query", "value")}),
        (gpt2, [], {"h.0.attn.c_attn", "h.1.attn.c_attn"}),
        (convnet, [], {"3", "5"}),
        (convnet, ["5"], {"5"}),
        (bert, ["key"], {f"{SELF.format(i)}.key" for i in "01"}),
    ],
)  # fmt: skip
def test_queries_and_values_are_adapted_or_else_what_is_linear(
    make: Any, targets: list[str], expected: set[str]
) -> None:
    backbone = make()
    add_adapters(backbone, LoraSettings(rank=2, targets=targets))
    assert adapted_layers(backbone) == expected


@pytest.mark.parametrize("make", [bert, gpt2, convnet])
def test_adapters_alone_are_trained_and_merging_changes_no_output(make: Any) -> None:
    backbone = make()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        first = output(backbone)
        add_adapters(backbone, SETTINGS)
        assert output(backbone).equal(first)
    learn(backbone)
    for name, value in backbone.state_dict().items():
        if ".lora_" not in name:
            assert value.equal(before[name.replace(".base_layer", "")]), name
    with torch.no_grad():
        learnt = output(backbone)
        assert not torch.allclose(learnt, first, atol=1e-2)
        merge_adapters(backbone)
        assert torch.allclose(output(backbone), learnt, atol=1e-5)
    assert backbone.state_dict().keys() == before.keys()
    assert not hasattr(backbone, "peft_config")


def test_what_is_merged_is_the_scaled_product() -> None:
    backbone = convnet()
    before = backbone[5].weight.detach().clone()
    add_adapters(backbone, LoraSettings(rank=2, alpha=6.0, dropout=0.0, targets=["5"]))
    learn(backbone)
    down, up = (trained(backbone)[f"5.lora_{part}.default.weight"].detach() for part in "AB")
    merge_adapters(backbone)
    assert torch.allclose(backbone[5].weight, before + 3 * up @ down, atol=1e-6)


def test_a_backbone_without_linear_layers_cannot_be_adapted() -> None:
    recurrent = nn.ModuleDict({"embeddings": nn.Embedding(5, 4), "lstm": nn.LSTM(4, 4)})
    with pytest.raises(BadInput, match="mode: lora: the backbone has no linear layer to adapt"):
        add_adapters(recurrent, SETTINGS)


def test_a_target_that_is_not_there_is_told_beside_those_that_are() -> None:
    expected = r"lora\.targets: no linear layer of the backbone is called 'query'; they are 3, 5"
    with pytest.raises(BadInput, match=expected):
        add_adapters(convnet(), LoraSettings(targets=["query"]))


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
