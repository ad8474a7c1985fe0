"""Loading the architectures of transformers."""

from pathlib import Path

import pytest

from tasks.inputs.traits import TextTraits
from tasks.models import transformer
from tasks.models.architectures import bert, gpt2

SIZES = {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 16}


def test_finetunings_dropout_reaches_the_encoder(tmp_path: Path) -> None:
    for architecture, names in (
        (bert, ["hidden_dropout_prob"]),
        (gpt2, ["embd_pdrop", "resid_pdrop"]),
    ):
        folder = tmp_path / architecture.__name__
        architecture.build(architecture.Settings(**SIZES), TextTraits(20, 0)).save_pretrained(
            folder
        )
        for pretrained in (True, False):
            parts = architecture.load_parts(folder, pretrained=pretrained, dropout=0.25)
            assert [getattr(parts.encoder.config, name) for name in names] == [0.25] * len(names)


@pytest.mark.parametrize(
    ("gpu", "causal", "expected"),
    [
        (False, False, "eager"),
        (False, True, "eager"),
        (True, False, "sdpa"),
        (True, True, transformer.CAUSAL),
    ],
)
def test_attention_is_what_the_machine_computes_fastest(
    gpu: bool, causal: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "on_gpu", lambda: gpu)
    assert transformer.fastest_attention(causal=causal) == expected
