"""Text of others made fit for people: it steers no terminal, floods no screen, tells no password.

Names of files, labels, comments, addresses and the texts of errors were written by whoever made the
data, the server or the decision. All that is printed goes through ``plain``, and so does the text
of every ``DownstreamError``, wherever it is read (a terminal, Prefect, MLflow).
"""

import re

LONGEST_LINE = 500
"""Characters; of a longer line the middle is left out: its end often says what to do."""
KEPT_END = 120
HIDDEN = "***"

# What stands before the "@" of an address. A database's password may hold a "/"; what begins with
# digits and a "/" is a port.
_LOGIN = re.compile(r"(?<=://)(?:[^\s/?#]*@|[^\s:/@]{0,100}:(?!\d+[/?#])[^\s@]{0,300}@)")
_SECRET_PARAMETER = re.compile(
    r"([?&;#](?:[\w.-]{0,60}(?:token|secret|passw|signature|credential|api_?-?key|access_?-?key)"
    r"[\w.-]{0,60}|sig|auth|key|pwd)=)[^&#\s'\"<>]+",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Return the text of others as it is shown: ``printable``, and each line cut.

    What is plain already comes back as it is.
    """
    return "\n".join(_cut(line) for line in printable(text).split("\n"))


def printable(text: str) -> str:
    """Return a text with a space for each sign that would steer a terminal, without credentials."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    return without_credentials(text)


def without_credentials(text: str) -> str:
    """Return a text whose addresses have no login, and no value of a parameter like ``token``."""
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", _LOGIN.sub("", text))


def _cut(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE - KEPT_END - 3]} … {line[-KEPT_END:]}"
