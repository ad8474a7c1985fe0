"""Lines that stand on pages and under mails whatever these are about."""

import re

LONGEST_LINE = 160
"""A longer one says something besides."""
# After the lines that C4 leaves out (Raffel et al., 2020), and what mail programs add.
_BOILERPLATE = re.compile(
    r"""
    \bjavascript\b.*\b(?:enabled?|disabled|required?|support\w*)\b
    |\b(?:enable|requires?)\ javascript\b
    |\b(?:we|site|website)\ uses?\ cookies\b|\buse\ of\ cookies\b|\b(?:accept|all)\ cookies\b
    |\bcookie\ (?:policy|settings|preferences|notice)\b
    |^\W*(?:terms\ (?:of|and)\ \w+|privacy\ policy|privacy\ statement)\b
    |\ball\ rights\ reserved\b
    |^\W*(?:copyright\b|©|\(c\)\ ).*\b(?:19|20)\d\d\b
    |\bunsubscribe\b|\bsubscribe\ to\ (?:our|this|the)\b|\bsign\ up\ for\ our\b
    |\b(?:follow|like|find)\ us\ on\b|\bshare\ (?:this|on)\b.*\b(?:facebook|twitter|linkedin|x)\b
    |^\W*(?:skip\ to\ (?:main\ )?content|back\ to\ top|read\ more|log\ ?in|sign\ in|home)\W*$
    |\bsent\ from\ my\ (?:\w+\ )?(?:iphone|ipad|android|blackberry|phone|mobile|galaxy|samsung)\b
    |^\W*this\ (?:e-?mail|message)\b.*\b(?:confidential|intended\ (?:only|solely))\b
    |\blorem\ ipsum\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def without_boilerplate(text: str) -> str:
    """Return a text without such lines; a text of one line, or of nothing else, as it is."""
    lines = text.splitlines()
    kept = [line for line in lines if not is_boilerplate(line)]
    if len(kept) == len(lines) or not any(line.strip() for line in kept):
        return text
    return "\n".join(kept)


def is_boilerplate(line: str) -> bool:
    """Tell whether a line says nothing about what the text is about."""
    return len(line) <= LONGEST_LINE and _BOILERPLATE.search(line) is not None
