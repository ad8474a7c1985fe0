"""Texts: repaired, in one Unicode form, with single spaces."""

import re
import unicodedata

from tasks.clean.settings import Settings

# Control characters that are not white space, and the byte order mark. Joiners stay: Persian,
# Indic scripts and emoji are spelled with them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")


def clean_text(text: str, settings: Settings) -> str:
    """Return the text without wrong decodings, control characters and repeated white space."""
    text = text.replace("\v", "\n")  # a line break to word processors, which ftfy would remove
    if settings.repair and not _is_sound(text):
        text = _repaired(text)
    text = _CONTROL.sub("", text)
    if settings.normalize != "none":
        text = unicodedata.normalize(settings.normalize, text)
    return " ".join(text.split())


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
