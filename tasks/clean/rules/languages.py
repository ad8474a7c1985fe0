"""Texts that are in none of the languages that stay."""

from tasks.clean.settings import Languages
from tasks.corpora.languages import language_of, require_known


def is_other_language(text: str, settings: Languages) -> bool:
    """Tell whether a text is long enough to be sure that its language is none of those kept.

    Args:
        text: a cleaned text.
        settings: the languages that are kept.

    Raises:
        BadSettings: one of them is not among those that can be told.
    """
    require_known(tuple(settings.keep), "clean.languages.keep")
    if len(text) < settings.minimum_characters:
        return False
    language, probability = language_of(text)
    return language not in settings.keep and probability >= settings.minimum_probability
