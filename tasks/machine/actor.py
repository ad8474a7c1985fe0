"""Who acts: the name that the logs of decisions and acceptances give to a change."""

import getpass
import os

from tasks.machine.git import ask_git

REVIEWER = "DOWNSTREAM_REVIEWER"


def actor() -> str:
    """Return ``DOWNSTREAM_REVIEWER``, else git's ``name <email>``, else the login name."""
    return os.environ.get(REVIEWER, "").strip() or _git_user() or _login()


def _git_user() -> str | None:
    name, email = ask_git("config", "user.name"), ask_git("config", "user.email")
    return f"{name} <{email}>" if name and email else name or email


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
