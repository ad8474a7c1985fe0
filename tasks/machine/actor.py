"""Who acts: the name that the logs of decisions and acceptances give to a change."""

import getpass
import os
import re
import unicodedata

from tasks.errors import BadInput
from tasks.machine.git import ask_git

REVIEWER = "DOWNSTREAM_REVIEWER"
POLICY = "policy"
"""With this word begins the name under which a policy decides."""
NOT_PEOPLE = (re.compile(rf"{POLICY}\b"), re.compile(r"unknown\W+outside\b"))
"""How the names begin under which the logs keep what no person did."""


def actor() -> str:
    """Return ``DOWNSTREAM_REVIEWER``, else git's ``name <email>``, else the login name.

    Raises:
        BadInput: it is not a person's.
    """
    name = os.environ.get(REVIEWER, "").strip() or _git_user() or _login()
    if not is_person(name):
        raise BadInput(
            f"{REVIEWER}, or git's user.name: {name!r} is how the logs name what no person did: "
            "give your own name"
        )
    return name


def is_person(name: str) -> bool:
    """Tell whether a name cannot be taken for one that stands for a policy, or for nobody."""
    seen = unicodedata.normalize("NFKC", name).casefold()
    letters = "".join(sign for sign in seen if unicodedata.category(sign) != "Cf")
    begin = re.sub(r"^[\W_]+", "", letters)
    return not any(pattern.match(begin) for pattern in NOT_PEOPLE)


def _git_user() -> str | None:
    name, email = ask_git("config", "user.name"), ask_git("config", "user.email")
    return f"{name} <{email}>" if name and email else name or email


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
