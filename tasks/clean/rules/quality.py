"""Whether a text is prose: the rules by which corpora of web pages are filtered.

After Gopher (Rae et al., 2021, table A1), C4 (Raffel et al., 2020) and FineWeb (Penedo et al.,
2024). Words are what white space separates, so rules on words suit languages that write them so.
Rules on lines apply to texts of two lines or more, as they were found: a cleaned text is one line.
"""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tasks.clean.settings import Quality

RUN = 5
"""Words of a run that counts as repeated (Gopher has 5 to 10)."""
SHORT_LINE = 30
"""Characters (FineWeb)."""
_BULLETS = ("-", "*", "•", "‣", "◦", "·")
_ENDS = (".", "!", "?", '"', "'", "”", "。", "！", "？", "…")  # noqa: RUF001 - of Chinese
_PLACEHOLDERS = ("lorem ipsum", "{")


def fault(text: str, found: str, settings: Quality) -> str | None:
    """Return the first rule that a text breaks, by its name, or nothing.

    Args:
        text: it, cleaned.
        found: it with its lines.
        settings: the rules that apply.
    """
    words = text.split()
    lines = [line.strip() for line in found.splitlines() if line.strip()]
    for name, limit in settings:
        if limit is not None:
            if name in _OF_WORDS and words and _OF_WORDS[name](words, limit):
                return name
            if name in _OF_LINES and len(lines) > 1 and _OF_LINES[name](lines, limit):
                return name
            if name == "placeholders" and any(one in text.lower() for one in _PLACEHOLDERS):
                return name
    return None


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


def _mean_length(words: list[str]) -> float:
    return sum(map(len, words)) / len(words)


def _symbols(words: list[str]) -> float:
    """Return how many hash signs and ellipses there are for each word."""
    text = " ".join(words)
    return (text.count("#") + text.count("…") + text.count("...")) / len(words)


def _num_stop_words(words: list[str], stop_words: list[str]) -> int:
    return len({word.strip(".,;:!?\"'()").lower() for word in words} & set(stop_words))


def _repeated_share(words: list[str]) -> float:
    """Return the share of words that lie in a run that stood there before."""
    seen: set[tuple[str, ...]] = set()
    repeated = [False] * len(words)
    for start in range(len(words) - RUN + 1):
        run = tuple(words[start : start + RUN])
        if run in seen:
            repeated[start : start + RUN] = [True] * RUN
        seen.add(run)
    return _share(repeated)


def _most_frequent_pair(words: list[str]) -> float:
    """Return the share of characters in the most frequent two words, where these repeat."""
    pairs = Counter(pairwise(words))
    if not pairs:
        return 0.0
    covered = (
        count * (len(first) + len(second)) for (first, second), count in pairs.items() if count > 1
    )
    return max(covered, default=0) / max(1, sum(map(len, words)))


def _repeated_lines(lines: list[str]) -> float:
    return 1 - len(set(lines)) / len(lines)


_OF_WORDS: dict[str, Callable[[list[str], Any], bool]] = {
    "minimum_words": lambda words, limit: len(words) < limit,
    "maximum_words": lambda words, limit: len(words) > limit,
    "mean_word_length": lambda words, limit: not limit[0] <= _mean_length(words) <= limit[1],
    "maximum_symbols": lambda words, limit: _symbols(words) > limit,
    "minimum_alphabetic": lambda words, limit: (
        _share([any(map(str.isalpha, word)) for word in words]) < limit
    ),
    "stop_words": lambda words, limit: _num_stop_words(words, limit.words) < limit.minimum,
    "maximum_repeated_words": lambda words, limit: _repeated_share(words) > limit,
    "maximum_frequent_pair": lambda words, limit: _most_frequent_pair(words) > limit,
}
_OF_LINES: dict[str, Callable[[list[str], float], bool]] = {
    "maximum_repeated_lines": lambda lines, limit: _repeated_lines(lines) > limit,
    "maximum_bullet_lines": lambda lines, limit: (
        _share([line.startswith(_BULLETS) for line in lines]) > limit
    ),
    "maximum_ellipsis_lines": lambda lines, limit: (
        _share([line.endswith(("…", "...")) for line in lines]) > limit
    ),
    "maximum_short_lines": lambda lines, limit: (
        _share([len(line) <= SHORT_LINE for line in lines]) > limit
    ),
    "minimum_ended_lines": lambda lines, limit: (
        _share([line.endswith(_ENDS) for line in lines]) < limit
    ),
}
