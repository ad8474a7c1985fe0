"""What cleaning does to a text, and what it leaves alone."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.settings import Settings
from tasks.clean.text import clean_text, is_plain, reason_to_drop


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("  a \t b\r\nc\u3000d\xa0e ", "a b c d e"),
        ("a\x00b\x07c\x1f\ufeff", "abc"),
        ("two\vlines", "two lines"),
        ("cafe\u0301", "café"),
        ("cafÃ© â€” naÃ¯ve", "café — naïve"),
        ("profits &amp; losses", "profits & losses"),
        ("这家店，真好吃！“推荐”", "这家店，真好吃！“推荐”"),  # noqa: RUF001 - Chinese, not confusable
        ("می‌خواهم", "می‌خواهم"),
        ("\u200d👨\u200d👩", "\u200d👨\u200d👩"),
    ],
)
def test_damage_is_repaired_and_style_is_kept(found: str, expected: str) -> None:
    assert clean_text(found, Settings()) == expected


def test_repair_and_unicode_form_are_settings() -> None:
    assert clean_text("cafÃ©", Settings(repair=False)) == "cafÃ©"
    assert clean_text("\uff46\uff55\uff11", Settings(normalize="NFKC")) == "fu1"
    assert clean_text("cafe\u0301", Settings(normalize="none")) == "cafe\u0301"


@given(st.text())
def test_a_cleaned_text_is_normal_and_stays_so(text: str) -> None:
    settings = Settings(repair=False)
    cleaned = clean_text(text, settings)
    assert clean_text(cleaned, settings) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == " ".join(cleaned.split())


@given(st.text(alphabet=st.characters(max_codepoint=126, exclude_characters="&\x1b\v")))
def test_texts_that_skip_ftfy_would_come_out_the_same(text: str) -> None:
    import ftfy

    repaired = ftfy.fix_text(text, uncurl_quotes=False, fix_character_width=False)
    settings = Settings()
    assert clean_text(text, settings) == clean_text(repaired, settings)


@given(st.lists(st.text(st.sampled_from("ab  &\n\té\x7f~")) | st.text(max_size=3)))
def test_texts_that_are_told_to_be_plain_would_come_out_the_same(texts: list[str]) -> None:
    content = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.array([len(one) for one in content] + [-1], dtype=np.int32)
    plain = is_plain(lengths, memoryview(b"".join(content))).tolist()
    assert not plain.pop()
    for text, told in zip(texts, plain, strict=True):
        if told:
            assert clean_text(text, Settings()) == text != ""
        elif text.isascii() and text.isprintable() and "&" not in text:
            assert " ".join(text.split()) != text or not text


def test_short_and_long_texts_are_dropped_for_their_own_reason() -> None:
    settings = Settings(minimum_characters=2, maximum_characters=3)
    found = [reason_to_drop(text, settings) for text in ("", "一", "一二", "一二三", "一二三四")]
    assert found == ["empty", "too_short", None, None, "too_long"]


def test_marks_without_number_on_one_letter_are_sorted_in_runs() -> None:
    few = "a" + "\u0316\u0301" * 100
    assert clean_text(few, Settings()) == unicodedata.normalize("NFC", few)
    # To sort these at once would take hours.
    many = "a" + "\u0301" * 1_000_000 + "\u0316" * 1_000_000
    cleaned = clean_text(many, Settings())
    assert cleaned.replace("\u034f", "").count("\u0316") == 1_000_000
    assert cleaned.count("\u034f") == 9_999


@given(st.text(alphabet=st.sampled_from("ab 　\t\n\x00\x1c\x7f\x85\xa0\u2028\ufeff\u200d好")))
def test_texts_that_are_not_split_would_come_out_the_same(text: str) -> None:
    control = "\x00\x1c\x7f\ufeff"  # of these letters; \x85 is white space
    without = "".join(letter for letter in text if letter not in control)
    assert clean_text(text, Settings(repair=False)) == " ".join(without.split())
