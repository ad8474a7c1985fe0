"""Personal data in texts, found by its form and masked: what a model never saw, it cannot tell."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Literal, get_args

from tasks.corpora.scripts import UNSPACED

Kind = Literal["email", "card", "ip", "telephone"]
MASKS: dict[Kind, str] = {
    "email": "<EMAIL>",
    "card": "<CARD>",
    "ip": "<IP>",
    "telephone": "<TELEPHONE>",
}

# Each begins where no such character stands before it, and is bounded in length: a text of a
# million letters takes no longer than one read. What may not stand beside a number are letters of
# ASCII alone: in scripts without spaces, any other letter does.
_NOT_IN_EMAILS = rf"{UNSPACED.pattern}|[\uac00-\ud7a3]"  # Korean particles follow without a space
_IN_EMAILS = rf"(?:(?!{_NOT_IN_EMAILS})[^\W_])"
_EMAIL = re.compile(
    rf"(?:(?<![\w.+-])|(?<={_NOT_IN_EMAILS}))(?:{_IN_EMAILS}|[_.+-]){{1,64}}"
    rf"@{_IN_EMAILS}(?:(?:{_IN_EMAILS}|[_-]){{0,62}}\.){{1,8}}"
    rf"(?:xn--[A-Za-z0-9-]{{0,58}}[A-Za-z0-9]|(?:(?!\d){_IN_EMAILS}){{2,24}})(?!{_IN_EMAILS})"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP4 = re.compile(rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\w|\.\d)", re.ASCII)
_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{6,40}(?![\w:])", re.ASCII)
# fe80::1, but neither 12::34 nor f128:: of a program: addresses in use begin with four digits.
_SHORT_IP6 = re.compile("[0-9A-Fa-f]{4}::[0-9A-Fa-f]")
# Figures in a row, of which some may be a card's: lines are joined by a space, as its groups are.
_FIGURES = re.compile(r"(?<![\w.-])\d+(?:[ -]\d+)*(?!\w)", re.ASCII)
_GROUP = re.compile("[0-9]+")
# How a card's number is written, the longest first. Any other grouping counts if nothing but the
# number is in the row; of the figures of a table, one in some dozens would be a card otherwise.
_CARDS = [
    re.compile(rf"{groups}(?![0-9])")
    for groups in (
        "[0-9]{4}(?:[ -][0-9]{4}){3}[ -][0-9]{3}",
        "[0-9]{4}(?:[ -][0-9]{4}){3}",
        "3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}",
        "[0-9]{13,19}",
    )
]
_TELEPHONE = re.compile(
    r"""(?=[+(0-9])(?:
    # from abroad
    (?:(?<![\w+/-])\+|(?<![\w.+/-])00)
        [1-9]\d{0,2}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,5}
    |(?<![\w.+/-])(?:
    # of America
    (?:1[ .-])?(?:\(\d{3}\)[ ]?|\d{3}[.-])\d{3}[ .-]\d{4}
    # within another country
    |\(?0[1-9]\d{1,4}\)?[ /-]{1,3}\d{3,4}(?:[ -]?\d{2,4}){1,2}
    # of Japan or Australia
    |(?:0[1-9]-|\(0[1-9]\)[ ]?)\d{4}[ -]\d{4}
    # of France: five pairs, no other figure in the row, and no counting up
    |(?<!\d[ ])(?!01.02)0[1-79](?P<between>[ .-])\d\d(?:(?P=between)\d\d){3}(?![ .-]\d)
    # without a space; ten digits may be a book's number
    |0[1-9]\d{9}|01[5-7]\d{9}
    ))(?![\w-]|[.+(]\d)""",
    re.VERBOSE | re.ASCII,
)
_DIGITS_OF_A_TELEPHONE = range(8, 16)
_FEWEST_OF_A_CARD = 13
# First digits and number of digits of the cards in use.
_ISSUERS = re.compile(
    r"(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[068]\d{12}"
    r"|(?:6011|65\d\d|64[4-9]\d|35\d\d|62\d\d)\d{12})"
)


def masked(text: str, kinds: Iterable[Kind]) -> tuple[str, list[Kind]]:
    """Return a text with a mask in place of what has the form of personal data.

    Args:
        text: a cleaned text.
        kinds: what is looked for.

    Returns:
        The text, and which kinds were found.
    """
    wanted, found = set(kinds), []
    # Cards before telephones, whose form is looser.
    for kind in get_args(Kind):
        if kind in wanted:
            replaced = _MASKERS[kind](text)
            if replaced != text:
                found.append(kind)
                text = replaced
    return text, found


def _mask_emails(text: str) -> str:
    return _EMAIL.sub(MASKS["email"], text) if "@" in text else text


def _mask_cards(text: str) -> str:
    return _FIGURES.sub(lambda found: _mask_cards_among(found[0]), text)


def _mask_cards_among(figures: str) -> str:
    if len(figures) < _FEWEST_OF_A_CARD:
        return figures
    if _is_card(figures):
        return MASKS["card"]
    parts, done = [], 0
    for group in _GROUP.finditer(figures):
        if group.start() >= done:
            length = _card_length(figures, group.start())
            if length:
                parts += [figures[done : group.start()], MASKS["card"]]
                done = group.start() + length
    return "".join([*parts, figures[done:]])


def _card_length(figures: str, start: int) -> int:
    """Return how many characters the card's number has that begins there; 0: none does."""
    candidates = (card.match(figures, start) for card in _CARDS)
    return next((len(found[0]) for found in candidates if found and _is_card(found[0])), 0)


def _is_card(number: str) -> bool:
    """Tell a card's number by its issuer, its length and its check digit (Luhn)."""
    digits = re.sub(r"\D", "", number)
    if not _ISSUERS.fullmatch(digits):
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _mask_addresses(text: str) -> str:
    text = _IP4.sub(MASKS["ip"], text)
    return _IP6.sub(lambda found: _mask_ip6(found[0]), text)


def _mask_ip6(found: str) -> str:
    # A colon at the end is the sentence's; two are the address's.
    address = found if found.endswith("::") else found.removesuffix(":")
    return MASKS["ip"] + found[len(address) :] if _is_ip6(address) else found


def _is_ip6(candidate: str) -> bool:
    """Tell an address from a time, and from names with two colons between them."""
    if not any(character.isdigit() for character in candidate):
        return False
    if candidate.count(":") < 3 and not _SHORT_IP6.match(candidate):
        return False
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return False
    return True


def _mask_telephones(text: str) -> str:
    return _TELEPHONE.sub(
        lambda found: MASKS["telephone"] if _is_telephone(found[0]) else found[0], text
    )


def _is_telephone(number: str) -> bool:
    return sum(character.isdigit() for character in number) in _DIGITS_OF_A_TELEPHONE


_MASKERS: dict[Kind, Callable[[str], str]] = {
    "email": _mask_emails,
    "card": _mask_cards,
    "ip": _mask_addresses,
    "telephone": _mask_telephones,
}
