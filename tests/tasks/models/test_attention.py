"""The choice of an attention."""

import torch

from tasks.models.attention import fastest_attention


def test_a_cpu_computes_attention_as_plain_products() -> None:
    assert fastest_attention() == ("sdpa" if torch.cuda.is_available() else "eager")
