"""LoRA: what is adapted, what is trained, what merging changes."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

from tasks.errors import BadInput
from tasks.finetune.lora import add_adapters, merge_adapters
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
