"""Prefect's settings for a run, made before Prefect is imported, since it reads them then."""

import os

QUIET = "CRITICAL"


def prepare_prefect(debug: bool) -> None:
    """Set what the user has not set.

    Args:
        debug: let Prefect print its own log lines too.
    """
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A server that is gone is then given up after 14 s a call instead of 62.
        "PREFECT_CLIENT_MAX_RETRIES": "3",
        # Our lines are on the terminal already; Prefect's own go to its server and its pages.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if debug else QUIET,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
