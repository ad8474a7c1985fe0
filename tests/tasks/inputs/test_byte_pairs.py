"""Byte-level BPE: nothing of a text is lost."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.inputs.byte_pairs import corpus_byte_tokenizer, sample, train_byte_tokenizer
from tasks.inputs.tokenizer import SPECIAL_TOKENS, load_tokenizer, save_tokenizer
from tasks.objectives import causal
from tests.tasks.conftest import write_texts

TEXTS = ["Oil prices\n\n rose SHARPLY", "oil  prices fell", "prices of [SEP] oil", "油价上涨"] * 3
TRAINED = train_byte_tokenizer(TEXTS, 300)
ROOT = Path(__file__).parents[3]
# Runs of blanks, and what special tokens and bytes of this tokenizer look like.
ODD = st.sampled_from(
    ["  ", "\t\n", "\r\n", "\0", "[SEP]", "[PAD]", "<|endoftext|>", "Ġ", "😀", "\ufeff"]
)
ANY_TEXT = st.lists(st.one_of(st.text(), ODD)).map("".join)


@given(ANY_TEXT)
def test_every_text_comes_back_from_its_tokens(text: str) -> None:
    ids = TRAINED.encode(text, add_special_tokens=False).ids
    assert TRAINED.decode(ids) == TRAINED.decode(ids, skip_special_tokens=False) == text
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))


def test_a_word_of_a_million_characters_is_learnt_from_in_seconds_and_comes_back() -> None:
    """Uncut, this takes many minutes."""
    blob = "ab" * 500_000
    trained = train_byte_tokenizer([blob, *TEXTS], 280)
    assert trained.token_to_id("ab") is not None
    ids = trained.encode(blob).ids
    assert len(ids) < 100_000
    assert trained.decode(ids) == blob


def test_special_tokens_come_first_and_all_bytes_follow() -> None:
    assert [TRAINED.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert train_byte_tokenizer([], 300).get_vocab_size() == 5 + 256
    assert TRAINED.get_vocab_size() == 300


def test_it_is_lossless_and_still_so_when_it_was_saved_and_loaded(tmp_path: Path) -> None:
    save_tokenizer(TRAINED, tmp_path, 64)
    loaded = load_tokenizer(tmp_path)
    assert causal.is_lossless(loaded)
    assert loaded.to_str() == TRAINED.to_str()


def test_what_is_saved_is_what_transformers_loads(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(TRAINED, tmp_path, 64)
    text = "  Oil\n\nprices, 油价 😀 "
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(text)["input_ids"] == TRAINED.encode(text).ids
    assert theirs.decode(theirs(text)["input_ids"]) == text


TWICE = """
import sys
from pathlib import Path
from tasks.inputs.byte_pairs import sample, train_byte_tokenizer
print(train_byte_tokenizer(sample(Path(sys.argv[1]), 20_000), 600).to_str())
"""


def test_another_process_learns_the_same_vocabulary(texts: tuple[Path, Path]) -> None:
    command = [sys.executable, "-c", TWICE, str(texts[0])]
    learnt = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout for _ in range(3)
    ]
    assert len(set(learnt)) == 1
    assert (
        learnt[0].decode().strip() == train_byte_tokenizer(sample(texts[0], 20_000), 600).to_str()
    )


def test_a_sample_is_of_the_bytes_that_are_asked_for(texts: tuple[Path, Path]) -> None:
    all_texts = records.read_table(texts[0])["text"].to_pylist()
    num_bytes = sum(len(text.encode()) for text in all_texts)
    assert list(sample(texts[0], num_bytes)) == all_texts
    for bound in (1, 1000, num_bytes - 1):
        drawn = list(sample(texts[0], bound))
        assert bound - 3 <= sum(len(text.encode()) for text in drawn) <= bound
        assert sum(text not in all_texts for text in drawn) <= 1  # the last one is cut


def test_which_texts_are_in_a_sample_does_not_depend_on_their_order(tmp_path: Path) -> None:
    train, _ = write_texts(tmp_path)
    table = records.read_table(train)
    backwards = table.take(list(reversed(range(len(table)))))
    records.write_records(tmp_path / "back.parquet", table.schema, backwards.to_batches())
    assert sorted(sample(train, 9000)) == sorted(sample(tmp_path / "back.parquet", 9000))


def test_a_vocabulary_that_the_sample_does_not_support_is_refused(
    texts: tuple[Path, Path],
) -> None:
    settings = causal.Settings(tokenizer="bytes", vocabulary_size=9000, tokenizer_sample=2000)
    with pytest.raises(
        BadInput, match=r"causal\.vocabulary_size is 9000, but .* supports \d+ in a sample of 2,000"
    ):
        corpus_byte_tokenizer(texts[0], settings, "causal")
    default = causal.Settings(tokenizer="bytes", tokenizer_sample=2000)
    assert corpus_byte_tokenizer(texts[0], default, "causal").get_vocab_size() < 1000
