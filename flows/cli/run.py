"""``downstream run`` from the command line to its exit code."""

import os
import threading
import time
from collections.abc import Sequence

from flows.orchestration.settings import prepare_prefect
from flows.plan.fingerprints import current_codes
from flows.run.results import finish
from flows.run.run_lock import active_run
from flows.run.session import Options, Session
from flows.run.set_params import parse_assignments, set_values
from flows.upkeep.accept import accept_by_themselves
from tasks.errors import StageFailed, Unreachable
from tasks.progress import say

INTERRUPTED = 130
LEAVE_SECONDS, LOST_SECONDS = 60.0, 3.0


def launch(options: Options, assignments: Sequence[str], debug: bool) -> int:
    """Change parameters if asked, plan, and run what is not fresh.

    Where there is nothing to do, neither Prefect nor a server is needed.

    Args:
        options: how to run.
        assignments: ``key=value`` texts for ``params.yaml``.
        debug: show Prefect's own log lines.

    Returns:
        The exit code.

    Raises:
        StageFailed: a stage failed.
        Unreachable: Prefect's server does not answer.
    """
    started = time.monotonic()
    set_values(parse_assignments(assignments))
    with active_run():
        codes = current_codes()
        if not options.force:
            accept_by_themselves(options.targets, codes)
        session = Session(options, codes)
        if session.stages:
            say(", ".join(f"{count} {state}" for state, count in session.plan.counts.items()))
            return _run_flow(session, debug)
        session.begin()
        session.end()
        finish(session, time.monotonic() - started)
        session.require_sent()
    return 0


def _run_flow(session: Session, debug: bool) -> int:
    prepare_prefect(debug)
    from flows.servers.up import start_temporary_prefect

    wait_for_server = start_temporary_prefect()
    from flows.orchestration.pipeline import run_flow

    wait_for_server()
    try:
        state = run_flow(session)
    except (Unreachable, RuntimeError):
        _leave_after(LOST_SECONDS, 1)
        raise
    code = INTERRUPTED if state.is_cancelled() else int(not state.is_completed())
    _leave_after(LEAVE_SECONDS, code)
    if state.is_cancelled():
        say(f"\n{state.message}")
    elif code:
        raise StageFailed(f"{state.message}")
    return code


def _leave_after(seconds: float, code: int) -> None:
    """End this process at the latest then: Prefect waits for a lost server at the exit, for ever.

    Args:
        seconds: how long its last log lines and events may take.
        code: the exit code.
    """
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()
