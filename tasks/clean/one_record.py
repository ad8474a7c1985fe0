"""What becomes of one record, whatever the others are: repaired, named, or dropped.

All that costs time for each record is here, so that a shard of records can be done by itself, in
another process, and never again while its records stay the same (``shards``).
"""

import hashlib
from dataclasses import dataclass, field

from tasks.clean.images import clean_image
from tasks.clean.repeated import PROTECTED
from tasks.clean.settings import Settings
from tasks.clean.text import clean_text, reason_to_drop


@dataclass
class Cleaned:
    """What one record has become."""

    content: str | bytes | None
    id: str | None = None
    reason: str | None = None
    """Why it is dropped."""
    changes: list[str] = field(default_factory=list)
    """What it was changed for beside its repair."""
    form: str | None = None
    """Mode and size of an image."""
    text_b: str | None = None
    """The second text of a pair."""


def clean_text_record(
    found: str | None, split: str | None, settings: Settings, *, is_plain: bool = False
) -> Cleaned:
    """Return what becomes of a text.

    Args:
        found: it, as found.
        split: its official split.
        settings: how to clean.
        is_plain: it is known to need no repair.
    """
    found = found or ""
    changes = []
    if settings.boilerplate == "remove":
        from tasks.clean.rules.boilerplate import without_boilerplate

        whole, found = found, without_boilerplate(found)
        if found != whole:
            changes.append("boilerplate")
            is_plain = False
    text = found if is_plain else clean_text(found, settings)
    if settings.personal_data:
        from tasks.clean.rules.personal_data import masked

        text, kinds = masked(text, settings.personal_data)
        changes += kinds
        text = clean_text(text, settings) if kinds else text
    reason = reason_to_drop(text, settings)
    if reason is None and split != PROTECTED:
        reason = _further_reason_to_drop(text, found, settings)
    return Cleaned(text, hashlib.sha256(text.encode()).hexdigest(), reason, changes)


def clean_pair(
    found: str | None, second: str | None, split: str | None, settings: Settings
) -> Cleaned:
    """Return what becomes of two texts: each is cleaned by itself, and both must be kept.

    Args:
        found: the first, as found.
        second: the other.
        split: their official split.
        settings: how to clean.
    """
    cleaned, other = (clean_text_record(text, split, settings) for text in (found, second))
    cleaned.text_b = str(other.content)
    cleaned.id = hashlib.sha256(f"{cleaned.id}{other.id}".encode()).hexdigest()
    cleaned.reason = cleaned.reason or other.reason
    cleaned.changes = list(dict.fromkeys([*cleaned.changes, *other.changes]))
    return cleaned


def _further_reason_to_drop(text: str, found: str, settings: Settings) -> str | None:
    """Return which of the rules that are off unless asked for drops a text, or nothing."""
    if settings.languages is not None:
        from tasks.clean.rules.languages import is_other_language

        if is_other_language(text, settings.languages):
            return "language"
    if settings.quality is not None:
        from tasks.clean.rules.quality import fault

        return fault(text, found, settings.quality)
    return None


def clean_image_record(
    found: bytes | None, split: str | None, where: str, settings: Settings
) -> Cleaned:
    """Return what becomes of an image.

    Args:
        found: it, as found.
        split: its official split.
        where: its source and row, for messages.
        settings: how to clean.

    Raises:
        BadInput: it cannot be decoded.
    """
    if not found:
        return Cleaned(found, reason="empty")
    identity, image, form = clean_image(found, where, settings)
    cleaned = Cleaned(image, identity, form=form)
    if settings.blank is not None and split != PROTECTED:
        from tasks.clean.rules.blank import is_blank

        cleaned.reason = "blank" if is_blank(image, settings.blank) else None
    return cleaned


def clean_label(label: str | None, settings: Settings) -> str | None:
    """Let ``"cat"`` and ``"cat "`` be one class."""
    return clean_text(label or "", settings) or None
