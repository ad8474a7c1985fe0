"""What a run's process sets before Prefect, which reads it at import; and whom it ends with."""

import os

from tasks.parent import die_with_parent

QUIET = "CRITICAL"
# Set by Prefect in the process that a worker, or the process that serves, starts for a flow run.
STARTED_FOR = "PREFECT__FLOW_RUN_ID"


def prepare_prefect(debug: bool, patient: bool = False) -> None:
    """Set what the user has not set.

    Args:
        debug: let Prefect print its own log lines too.
        patient: wait for a server that is gone, or whose database is, for a minute a call.
    """
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A server that is gone is then given up after 14 s a call instead of 62.
        "PREFECT_CLIENT_MAX_RETRIES": "6" if patient else "3",
        # Our lines are on the terminal already; Prefect's own go to its server and its pages.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if debug else QUIET,
    }
    if patient:
        defaults["PREFECT_CLIENT_RETRY_EXTRA_CODES"] = "500"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def end_with_runner() -> None:
    """Let a flow run's process end with the worker that has started it, kill -9 included."""
    if STARTED_FOR in os.environ:
        die_with_parent()
