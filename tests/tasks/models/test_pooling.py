"""One vector of a text's token states."""

from types import SimpleNamespace

import pytest
import torch

from tasks.models.pooling import pool

STATES = torch.tensor(
    [[[1.0, -4.0], [3.0, -2.0], [90.0, 90.0]], [[1.0, 2.0], [3.0, 4.0], [8.0, 0.0]]]
)
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, -3.0], [4.0, 2.0]]),
        ("max", [[3.0, -2.0], [8.0, 4.0]]),
        ("last", [[3.0, -2.0], [8.0, 0.0]]),
    ],
)
def test_padding_is_left_out(pooling: str, expected: list[list[float]]) -> None:
    output = SimpleNamespace(last_hidden_state=STATES)
    assert pool(pooling, output, MASK).tolist() == expected
    alone = SimpleNamespace(last_hidden_state=STATES[:1, :2])
    assert pool(pooling, alone, None).tolist() == expected[:1]


def test_cls_is_what_the_encoder_has_pooled() -> None:
    output = SimpleNamespace(last_hidden_state=STATES, pooler_output=torch.ones(2, 2))
    assert pool("cls", output, MASK) is output.pooler_output
