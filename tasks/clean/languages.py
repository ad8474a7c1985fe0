"""The language of a text, by py3langid: naive Bayes on character sequences, 140 languages."""

from functools import cache
from typing import TYPE_CHECKING

from tasks.clean.settings import Languages
from tasks.errors import BadSettings, one_of

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

CHARACTERS_READ = 2_000
"""More of a text tells nothing more."""


def is_other_language(text: str, settings: Languages) -> bool:
    """Tell whether a text is long enough to be sure that its language is none of those kept.

    Args:
        text: a cleaned text.
        settings: the languages that are kept.

    Raises:
        BadSettings: one of them is not among those that can be told.
    """
    _require_known(tuple(settings.keep))
    if len(text) < settings.minimum_characters:
        return False
    language, probability = _identifier().classify(text[:CHARACTERS_READ])
    return language not in settings.keep and probability >= settings.minimum_probability


@cache
def _require_known(languages: tuple[str, ...]) -> None:
    known = _identifier().labels
    for language in languages:
        if language not in known:
            raise BadSettings(
                f"clean.languages.keep: no language {language!r}; {one_of(language, known)}"
            )


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
