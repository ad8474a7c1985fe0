"""How often a run asks Prefect's server for limits on the tags ``gpu`` and ``cpu``.

Prefect asks before every task run and remembers for 5 seconds that a tag has no limit. A server
over SQLite often refuses that question with 503 while it writes the end of the task run before,
and the client then waits two seconds: as long as a short stage takes. Remembered for a minute, the
question is rare; a limit that somebody sets on a tag holds a minute later.
"""

from prefect.concurrency import services

REMEMBERED_SECONDS = 60.0


def ask_seldom() -> None:
    """Let this process remember for a minute, not 5 seconds, that tags have no limit."""
    known = services._no_limits_cache
    if known.ttl < REMEMBERED_SECONDS:
        services._no_limits_cache = type(known)(maxsize=known.maxsize, ttl=REMEMBERED_SECONDS)
