"""The language of a text, by py3langid: naive Bayes on character sequences, 140 languages."""

from functools import cache
from typing import TYPE_CHECKING

from tasks.errors import BadSettings, one_of

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

CHARACTERS_READ = 2_000
"""More of a text tells nothing more."""


def language_of(text: str) -> tuple[str, float]:
    """Return the code of a text's language, and its probability."""
    language, probability = _identifier().classify(text[:CHARACTERS_READ])
    return str(language), float(probability)


@cache
def require_known(languages: tuple[str, ...], where: str) -> None:
    """Refuse languages that cannot be told.

    Args:
        languages: their codes.
        where: the setting that has them.

    Raises:
        BadSettings: one of them is not known.
    """
    known = _identifier().labels
    for language in languages:
        if language not in known:
            raise BadSettings(f"{where}: no language {language!r}; {one_of(language, known)}")


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
