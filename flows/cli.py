"""The commands of ``downstream``.

Exit codes: 0 done, 1 bad input or a failed stage, 2 wrong usage, 3 ``plan --check`` found something
that is not fresh, 130 interrupted.
"""

import json as json_format
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from flows.checkout import enter_workspace
from tasks.errors import DownstreamError, StageFailed
from tasks.progress import say

if TYPE_CHECKING:
    from flows.session import Options

DEBUG = "DOWNSTREAM_DEBUG"
DEBUG_FLAG = "--debug"
INTERRUPTED = 130
NOT_FRESH = 3
WRONG_USAGE = 2

app = App(
    name="downstream",
    help="Plan and run the pipeline: only what lies downstream of a change runs again. "
    "Every command takes --debug, which shows tracebacks and Prefect's own log lines.",
    version_flags=[],
)

Targets = Annotated[
    str,
    Parameter(
        help="Stages (evaluate@reuters-topics) or all rows of one (evaluate), with all upstream of "
        "them; none is everything."
    ),
]


@app.command
def plan(
    *targets: Targets,
    json: Annotated[
        bool, Parameter(help="Print one JSON object.", negative="", show_default=False)
    ] = False,
    check: Annotated[
        bool,
        Parameter(help="Exit with 3 if any stage is not fresh.", negative="", show_default=False),
    ] = False,
) -> int:
    """Say which stages would run, every reason why, and what it would cost.

    Reads params.yaml, dvc.yaml, dvc.lock, the code and data/; writes and runs nothing.
    """
    from flows.current import current_codes
    from flows.graph import load_graph
    from flows.plan import make_plan
    from flows.plan_view import show_plan, to_object
    from tasks.workspace.fingerprint import NOT_HASHED

    codes = current_codes()
    graph = load_graph()
    made = make_plan(graph, codes, graph.select(targets))
    if json:
        sys.stdout.write(json_format.dumps(to_object(made), indent=2, ensure_ascii=False) + "\n")
    else:
        show_plan(made, targets, NOT_HASHED)
    return NOT_FRESH if check and made.unfresh else 0


@app.command
def run(
    *targets: Targets,
    jobs: Annotated[
        int | None, Parameter(help="CPU stages at once; by default the number of cores.")
    ] = None,
    force: Annotated[
        bool, Parameter(help="Run fresh stages too.", negative="", show_default=False)
    ] = False,
    keep_going: Annotated[
        bool,
        Parameter(
            help="After a failure, start what does not depend on it.",
            negative="",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Run the stages that are not fresh, independent ones side by side, as a Prefect flow.

    Reads what plan reads; writes data/, dvc.lock, DVC's cache, and the MLflow store. Uses the
    Prefect server that PREFECT_API_URL names, otherwise a temporary one.
    """
    from flows.current import current_codes
    from flows.results import finish
    from flows.session import Options, Session

    started = time.monotonic()
    options = Options(targets, _jobs(jobs), force, keep_going)
    session = Session(options, current_codes())
    if session.stages:
        say(", ".join(f"{count} {state}" for state, count in session.plan.counts.items()))
        return _run_flow(options)
    finish(session, time.monotonic() - started)
    return 0


def _jobs(jobs: int | None) -> int:
    if jobs is not None and jobs < 1:
        raise DownstreamError(f"--jobs: expected a number from 1, found {jobs}")
    return jobs or os.cpu_count() or 1


def _run_flow(options: "Options") -> int:
    from flows.prefect_settings import prepare_prefect

    if "PREFECT_API_URL" not in os.environ:
        say("Starting a temporary Prefect server (10 to 20 s; PREFECT_API_URL names a lasting one)")
    prepare_prefect(debug=DEBUG in os.environ)
    from flows.flow import downstream

    state = downstream(
        targets=list(options.targets),
        jobs=options.jobs,
        force=options.force,
        keep_going=options.keep_going,
        return_state=True,
    )
    if state.is_cancelled():
        say(f"\n{state.message}")
        return INTERRUPTED
    if not state.is_completed():
        raise StageFailed(f"{state.message}")
    return 0


@app.command
def refresh(
    corpus: Annotated[str | None, Parameter(help="A row of corpora; none is all of them.")] = None,
) -> int:
    """Resolve the remote sources of a corpus again, and pin exact revisions and sha256 sums.

    Reads params.yaml and the network; writes data/sources/CORPUS/pin.json, which belongs in git.
    """
    from tasks.collect.refresh import refresh as refresh_pins
    from tasks.contracts import params, paths
    from tasks.params import check_params
    from tasks.workspace.fingerprint import stage_settings

    raw = params.read_params()
    check_params(raw)
    for name in [corpus] if corpus else raw["corpora"]:
        pins = refresh_pins(name, stage_settings(raw, "collect", name), paths.pin(name))
        say(f"{paths.pin(name)}: {len(pins)} remote sources pinned")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command in the workspace of the current directory.

    Args:
        arguments: the command line; by default this process' own.

    Returns:
        The exit code.
    """
    tokens = sys.argv[1:] if arguments is None else arguments
    if DEBUG_FLAG in tokens:
        os.environ[DEBUG] = "1"
    try:
        if tokens and not {"-h", "--help"} & {*tokens}:
            enter_workspace(tokens)
        command = [word for word in tokens if word != DEBUG_FLAG]
        return app(command, exit_on_error=False, result_action="return_value") or 0
    except CycloptsError:
        return WRONG_USAGE
    except (DownstreamError, OSError) as error:
        if DEBUG in os.environ:
            raise
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
