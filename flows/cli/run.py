"""``downstream run`` from the command line to its exit code."""

import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence

from flows.orchestration.settings import prepare_prefect
from flows.plan.fingerprints import current_codes
from flows.run.results import TEMPORARY, finish
from flows.run.run_lock import active_run
from flows.run.session import Options, Session
from flows.run.set_params import parse_assignments, set_values
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
        session = Session(options, current_codes())
        if session.stages:
            say(", ".join(f"{count} {state}" for state, count in session.plan.counts.items()))
            return _run_flow(session, debug)
        session.begin()
        finish(session, time.monotonic() - started)
    return 0


def _run_flow(session: Session, debug: bool) -> int:
    prepare_prefect(debug)
    wait_for_server = _start_temporary_server()
    import httpx
    from prefect.exceptions import PrefectException

    from flows.orchestration.pipeline import downstream, prepared

    wait_for_server()
    prepared.set(session)
    options = session.options
    try:
        state = downstream(
            targets=list(options.targets),
            jobs=options.jobs,
            force=options.force,
            keep_going=options.keep_going,
            skip_gpu=options.skip_gpu,
            return_state=True,
        )
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        _leave_after(LOST_SECONDS, 1)
        if isinstance(error, RuntimeError) and "API" not in str(error):
            raise
        raise Unreachable(
            f"Prefect's server does not answer ({' '.join(str(error).split())}); stages that had "
            "ended are recorded: see PREFECT_API_URL, or unset it for a temporary server, and "
            "run again"
        ) from error
    code = INTERRUPTED if state.is_cancelled() else int(not state.is_completed())
    _leave_after(LEAVE_SECONDS, code)
    if state.is_cancelled():
        say(f"\n{state.message}")
    elif code:
        raise StageFailed(f"{state.message}")
    return code


def _start_temporary_server() -> Callable[[], None]:
    """Start a Prefect server that ends with this process, if no setting names one.

    Returns:
        What waits for it: the rest of Prefect is imported meanwhile.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    if get_current_settings().api.url:
        return lambda: None
    from flows.servers.supervisor import Servers
    from flows.servers.up import temporary_prefect_server

    say("Starting a temporary Prefect server (10 to 20 s; PREFECT_API_URL names a lasting one)")
    servers = Servers()
    address, server = temporary_prefect_server()
    # First to be registered, so last to be called: Prefect's last log lines are sent before.
    atexit.register(servers.stop)
    servers.launch(server)
    os.environ |= {"PREFECT_API_URL": address, TEMPORARY: "1"}
    refresh_global_settings_context()
    return lambda: servers.wait_for(server)


def _leave_after(seconds: float, code: int) -> None:
    """End this process at the latest then: Prefect waits for a lost server at the exit, for ever.

    Args:
        seconds: how long its last log lines and events may take.
        code: the exit code.
    """
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()
