"""Token ids in flat arrays, and their batches."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import records
from tasks.inputs.token_inputs import TokenInputs, tokenise
from tasks.inputs.tokenizer import UNKNOWN, token_id, train_tokenizer
from tasks.models.classifier import batches_of_like_length
from tasks.training.batches import BatchOrder


def inputs_of(sequences: list[list[int]]) -> TokenInputs:
    flat = np.array([token for one in sequences for token in one], np.int32)
    return TokenInputs(flat, np.cumsum([0, *map(len, sequences)]), padding_token=0)


@given(
    sequences=st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=8
    ),
    data=st.data(),
)
def test_a_batch_holds_the_sequences_asked_for_and_a_mask_where_it_is_padded(
    sequences: list[list[int]], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=6))
    batch = inputs_of(sequences).batch(np.array(chosen))
    lengths = [len(sequences[index]) for index in chosen]
    for row, index in enumerate(chosen):
        padding = [0] * (max(lengths) - lengths[row])
        assert batch["input_ids"][row].tolist() == sequences[index] + padding
    assert ("attention_mask" in batch) == (len(set(lengths)) > 1)
    if "attention_mask" in batch:
        assert batch["attention_mask"].sum(1).tolist() == lengths


def test_a_text_without_a_token_is_one_unknown_token() -> None:
    tokenizer = train_tokenizer(lambda: ["oil prices rose", "oil prices fell"] * 2, 60)
    tokenizer.post_processor = None
    found = tokenise(["", "oil"], tokenizer)
    assert found.lengths[0] == 1
    assert found.tokens[0] == token_id(UNKNOWN)
    assert tokenise([], tokenizer).lengths.tolist() == []


def test_less_than_five_percent_of_finetunings_tokens_are_padding(
    texts: tuple[Path, Path],
) -> None:
    contents = records.read_table(texts[0])["text"].to_pylist()
    tokenizer = train_tokenizer(lambda: contents, 600)
    tokenizer.enable_truncation(128)
    inputs = tokenise(contents, tokenizer)
    order = BatchOrder(inputs.lengths, 8, 0)
    computed = sum(
        inputs.batch(order.indices(step))["input_ids"].numel()
        for step in range(3 * order.steps_per_epoch)
    )
    assert 1 - 3 * inputs.lengths.sum() / computed < 0.05
    scored = [
        len(one) * inputs.lengths[one].max() for one in batches_of_like_length(inputs.lengths)
    ]
    assert 1 - inputs.lengths.sum() / sum(scored) < 0.05
