"""Texts: repaired, in one Unicode form, with single spaces."""

import re
import sys
import unicodedata
from functools import cache

import numpy as np

from tasks.clean.settings import Settings

# Control characters that are not white space, and the byte order mark. Joiners stay: Persian,
# Indic scripts and emoji are spelled with them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
# A letter of a language has five at most, one that is made for fun some dozens.
_MARKS_IN_A_ROW = 200
_NO_WORD = re.compile(rf"\W{{{_MARKS_IN_A_ROW}}}")


def is_plain(lengths: np.ndarray, content: memoryview) -> np.ndarray:
    """Tell texts that ``clean_text`` gives back as they are: printable ASCII with single spaces.

    Not all of these: an empty text or one with ``&`` is told by ``clean_text``. All texts of a
    shard are looked at at once, which takes a fifth of the time.

    Args:
        lengths: the bytes of each text, less than 1 where there is none.
        content: all texts one after another, as UTF-8.
    """
    codes = np.frombuffer(content, dtype=np.uint8)
    plain = lengths > 0
    ends = np.cumsum(np.maximum(lengths, 0), dtype=np.int64)
    is_space = codes == ord(" ")
    # What is below the space wraps around.
    needs_work = (codes - np.uint8(ord(" "))) > ord("~") - ord(" ")
    needs_work |= codes == ord("&")
    needs_work[1:] |= is_space[1:] & is_space[:-1]
    plain[np.searchsorted(ends, np.flatnonzero(needs_work), side="right")] = False
    starts = ends - np.maximum(lengths, 0)
    has_any = np.flatnonzero(lengths > 0)
    plain[has_any] &= ~is_space[starts[has_any]] & ~is_space[ends[has_any] - 1]
    return plain


def clean_text(text: str, settings: Settings) -> str:
    """Return the text without wrong decodings, control characters and repeated white space."""
    text = text.replace("\v", "\n")  # a line break to word processors, which ftfy would remove
    if settings.repair and not _is_sound(text):
        text = _repaired(text)
    printable = text if text.isprintable() else None  # to look costs as much as to normalize
    if printable is None:
        text = _CONTROL.sub("", text)
    if settings.normalize != "none":
        text = unicodedata.normalize(settings.normalize, _stream_safe(text))
    if (text is printable or text.isprintable()) and _has_single_spaces(text):
        return text
    return " ".join(text.split())


def _has_single_spaces(text: str) -> bool:
    """Tell printable texts that would come out the same; to split one costs ten times as much.

    No white space but the space is printable, and no control character is.
    """
    return "  " not in text and text[:1] != " " and text[-1:] != " "


def _stream_safe(text: str) -> str:
    """Break up marks without number on one letter, which take the square of their number to sort.

    What breaks them up is the combining grapheme joiner, as the Unicode Standard Annex 15 has it
    (there after 30).
    """
    # No mark is part of a word by itself; to look for those takes a third of the time.
    if text.isascii() or not _NO_WORD.search(text):
        return text
    return _many_marks().sub("\\g<0>\u034f", text)


@cache
def _many_marks() -> re.Pattern[str]:
    marks = "".join(mark for mark in map(chr, range(sys.maxunicode)) if unicodedata.combining(mark))
    return re.compile(f"[{marks}]{{{_MARKS_IN_A_ROW}}}(?=[{marks}])")


def reason_to_drop(text: str, settings: Settings) -> str | None:
    """Return why a cleaned text is dropped, or nothing."""
    if not text:
        return "empty"
    if len(text) < settings.minimum_characters:
        return "too_short"
    if settings.maximum_characters is not None and len(text) > settings.maximum_characters:
        return "too_long"
    return None


def _is_sound(text: str) -> bool:
    """Tell texts that ftfy, which is slow, would leave alone."""
    return text.isascii() and "&" not in text and "\x1b" not in text


def _repaired(text: str) -> str:
    import ftfy

    # Quotes and wide characters are style, not damage: Chinese punctuation has to stay as it is.
    return ftfy.fix_text(
        text, uncurl_quotes=False, fix_character_width=False, normalization=None, explain=False
    )
