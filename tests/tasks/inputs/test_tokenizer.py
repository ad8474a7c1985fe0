"""WordPiece tokenizers."""

from pathlib import Path

import pytest

from tasks.inputs import tokenizer as module
from tasks.inputs.tokenizer import load_tokenizer, save_tokenizer, token_id, train_tokenizer

TEXTS = ["Oil prices rose sharply", "oil prices fell", "prices of oil", "油价上涨", "油价下跌"] * 3


def test_special_tokens_come_first_in_every_vocabulary() -> None:
    trained = train_tokenizer(lambda: TEXTS, 200)
    assert [trained.token_to_id(token) for token in module.SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert token_id("[MASK]") == 4


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("OIL prices", ["[CLS]", "oil", "prices", "[SEP]"]),
        ("油价上涨", ["[CLS]", "油", "价", "上", "涨", "[SEP]"]),
        ("ｏｉｌ", ["[CLS]", "oil", "[SEP]"]),  # noqa: RUF001 - full-width letters
    ],
)
def test_case_width_and_chinese_are_handled(text: str, tokens: list[str]) -> None:
    assert train_tokenizer(lambda: TEXTS, 200).encode(text).tokens == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Oil prices", ["[CLS]", "Oil", "prices", "[SEP]"]),
        ("oil ｐrices", ["[CLS]", "oil", "prices", "[SEP]"]),  # noqa: RUF001 - a full-width letter
        ("Österreich", ["[CLS]", "Österreich", "[SEP]"]),
        ("油价上涨", ["[CLS]", "油", "价", "上", "涨", "[SEP]"]),
    ],
)
def test_case_and_accents_are_kept_where_they_are_asked_for(text: str, tokens: list[str]) -> None:
    trained = train_tokenizer(lambda: [*TEXTS, *["Österreich"] * 3], 200, cased=True)
    assert trained.encode(text).tokens == tokens


def test_a_small_corpus_yields_a_small_vocabulary() -> None:
    assert train_tokenizer(lambda: TEXTS, 8000).get_vocab_size() < 100


def test_what_is_saved_is_what_transformers_loads(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    trained = train_tokenizer(lambda: TEXTS, 200)
    save_tokenizer(trained, tmp_path, 64)
    ours = load_tokenizer(tmp_path).encode("oil prices rose").ids
    assert AutoTokenizer.from_pretrained(tmp_path)("oil prices rose")["input_ids"] == ours
    assert trained.encode("oil prices rose").ids == ours


def test_training_twice_gives_the_same_vocabulary() -> None:
    sample = Path(__file__).parents[2] / "data" / "reuters-sample.csv"
    lines = sample.read_text(encoding="utf-8").splitlines()
    trained = [train_tokenizer(lambda: lines, 1500).to_str() for _ in range(4)]
    assert len(set(trained)) == 1


def test_nothing_is_learnt_from_words_whose_square_is_too_much() -> None:
    texts = ["oil prices rose", "oil prices fell"] * 3
    longest = "xy" * (module.LONGEST_WORD // 2)
    giant = f"{longest}w"
    chinese = "天气，" * module.LONGEST_WORD  # noqa: RUF001 - Chinese, not confusable
    plain = train_tokenizer(lambda: [*texts, f"rates {longest} {chinese}"], 60).get_vocab()
    assert {"x", "##y", "天"} < {*plain}
    found = train_tokenizer(lambda: [*texts, f"rates {longest} {giant} {chinese}"], 60)
    assert found.get_vocab() == plain
    assert found.encode(giant).tokens == ["[CLS]", "[UNK]", "[SEP]"]
