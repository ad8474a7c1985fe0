"""The commands of ``downstream``.

Exit codes: 0 done, 1 bad input or a failed stage, 2 wrong usage, 3 ``plan --check`` found something
that is not fresh, 130 interrupted.
"""

import gc
import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.validators import LimitedChoice
from rich.text import Text

from flows.checkout import enter_workspace
from flows.cli.data import data
from flows.cli.export import export
from flows.cli.generate import generate
from flows.cli.lineage import lineage
from flows.cli.prune import clean
from flows.cli.registry import history, rollback
from flows.cli.review import review
from tasks.errors import DownstreamError, in_words, is_of_system
from tasks.interpreter import COLLECTED_AFTER
from tasks.plain_text import plain
from tasks.progress import say

if TYPE_CHECKING:
    from flows.cli.plan import Output

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
    error_formatter=lambda error: Text(plain(f"error: {error}")),
)

Targets = Annotated[
    str,
    Parameter(
        help="Stages (evaluate@reuters-topics) or all rows of one (evaluate), with all upstream of "
        "them; none is everything."
    ),
]


EVIDENCE = Group("Evidence (one of them)", validator=LimitedChoice(min=1, max=1))


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
    graph: Annotated[
        bool, Parameter(help="Print a Mermaid flowchart.", negative="", show_default=False)
    ] = False,
    downstream: Annotated[
        str | None,
        Parameter(help="In place of targets: a stage and all that depends on it."),
    ] = None,
    probe: Annotated[
        bool,
        Parameter(
            help="Make a short run of each GPU stage whose code has changed, with the code before "
            "and the code now, and say whether their bytes are the same.",
            negative="",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Say which stages would run, every reason why, and what it would cost.

    Reads params.yaml, dvc.yaml, dvc.lock, the code and data/; runs nothing, and writes nothing but
    caches of its own parsing in .downstream/cache/. With --probe it takes a device, and writes what
    it saw to .downstream/probes/.
    """
    if downstream and targets:
        raise DownstreamError("--downstream: it takes the place of targets: give one or the other")
    if json and graph:
        raise DownstreamError("--json and --graph: both print on stdout: give one of them")
    gc.disable()  # over in a second: looking for cycles, while DVC is imported, costs 7 % of it
    try:
        from flows.cli.plan import print_plan
        from flows.plan.plan import plan_now

        pipeline, made = plan_now(targets, downstream)
        again = tuple(pipeline.ends(stage.name for stage in made.stages)) if downstream else targets
        if probe:
            from flows.probe.verdicts import with_probes

            made = with_probes(pipeline, made)
        output: Output = "json" if json else "graph" if graph else "table"
        print_plan(made, again, output, pipeline.upstream)
    finally:
        gc.enable()
    return NOT_FRESH if check and made.unfresh else 0


@app.command
def run(
    *targets: Targets,
    jobs: Annotated[
        int | None,
        Parameter(help="CPU stages at once; by default the number of cores, of jobs all."),
    ] = None,
    force: Annotated[
        bool,
        Parameter(
            help="Run the targets even if they are fresh; without targets, all stages.",
            negative="",
            show_default=False,
        ),
    ] = False,
    keep_going: Annotated[
        bool,
        Parameter(
            help="After a failure, start what does not depend on it.",
            negative="",
            show_default=False,
        ),
    ] = False,
    skip_gpu: Annotated[
        bool,
        Parameter(
            help="Leave the GPU stages that would have to run, and list what waits on them.",
            negative="",
            show_default=False,
        ),
    ] = False,
    pull: Annotated[
        bool,
        Parameter(
            help="Take results from DVC's remote instead of computing them.",
            negative="",
            show_default=False,
        ),
    ] = False,
    push: Annotated[
        bool,
        Parameter(
            help="Send results to DVC's remote, while the next stages run.",
            negative="",
            show_default=False,
        ),
    ] = False,
    engine: Annotated[
        Literal["local", "slurm", "pools"],
        Parameter(
            help="Where stages run: on this machine, as jobs of SLURM (slurm.yaml), or those that "
            "need a GPU by the workers of Prefect's work pool gpu (implies --pull --push)."
        ),
    ] = "local",
    assignments: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            help="key=value: change params.yaml first, comments kept; may be repeated.",
            negative="",
        ),
    ] = None,
) -> int:
    """Run the stages that are not fresh, independent ones side by side, as a Prefect flow.

    Reads what plan reads, with --pull DVC's default remote; writes data/, dvc.lock, DVC's cache,
    and the MLflow store; with --set params.yaml, with --push that remote. Uses the Prefect server
    that PREFECT_API_URL names, otherwise a temporary one.
    """
    from flows.cli.run import launch
    from flows.run.session import Options, most_jobs

    if jobs is not None and jobs < 1:
        raise DownstreamError(f"--jobs: expected a number from 1, found {jobs}")
    options = Options(
        targets,
        jobs or most_jobs(engine),
        force,
        keep_going,
        skip_gpu,
        pull=pull,
        push=push,
        engine=engine,
    )
    return launch(options, assignments or [], debug=DEBUG in os.environ)


@app.command
def refresh(
    row: Annotated[
        str | None, Parameter(help="A row of corpora or backbones; none is all of them.")
    ] = None,
) -> int:
    """Resolve the remote sources of a corpus again, or the checkpoint of a backbone, and pin them.

    Reads params.yaml and the network; writes exact revisions and sha256 sums to
    data/sources/ROW/pin.json, which belongs in git.
    """
    from tasks.collect.refresh import refresh as refresh_corpus
    from tasks.contracts import params, paths
    from tasks.contracts.params import check_params, stage_settings
    from tasks.pretrain.init import refresh as refresh_backbone

    raw = params.read_params()
    check_params(raw)
    inits = {name: stage_settings(raw, "pretrain", name).init for name in raw["backbones"]}
    started_from = {name: init for name, init in inits.items() if init is not None}
    for name in [row] if row else [*raw["corpora"], *started_from]:
        if name in started_from:
            pins = refresh_backbone(name, started_from[name])
        else:
            settings = stage_settings(raw, "collect", name)
            pins = refresh_corpus(name, settings, paths.pin(name))
        say(f"{paths.pin(name)}: {len(pins)} remote sources pinned")
    return 0


@app.command
def serve() -> int:
    """Run the deployments of prefect.yaml in this process, as their schedules and the UI ask.

    Reads prefect.yaml; writes deployments to the Prefect server that PREFECT_API_URL names; their
    runs write what run and refresh write.
    """
    from flows.orchestration.settings import prepare_prefect

    prepare_prefect(debug=DEBUG in os.environ)
    from flows.servers.serve import serve as serve_deployments

    serve_deployments()
    return 0


@app.command
def worker(
    pool: Annotated[str, Parameter(help="The work pool, cpu or gpu; it is made if need be.")],
    limit: Annotated[
        int | None,
        Parameter(help="Flow runs at once; by default of gpu one a device, of others any number."),
    ] = None,
) -> int:
    """Start a worker of a Prefect work pool in this checkout, until Ctrl-C.

    Stages that were under way when an earlier worker of this checkout was killed are scheduled
    again first. Asks the Prefect server that PREFECT_API_URL names; what it runs writes to
    .downstream/pool/, and to DVC's remote.
    """
    from flows.orchestration.settings import prepare_prefect

    if limit is not None and limit < 1:
        raise DownstreamError(f"--limit: expected a number from 1, found {limit}")
    prepare_prefect(debug=DEBUG in os.environ, patient=True)
    from flows.servers.worker import become_worker

    become_worker(pool, limit)


@app.command
def up(
    prefect_port: Annotated[int, Parameter(help="Where Prefect listens on 127.0.0.1.")] = 4200,
    mlflow_port: Annotated[int, Parameter(help="Where MLflow listens on 127.0.0.1.")] = 5000,
) -> int:
    """Start a Prefect server, an MLflow server and serve, until Ctrl-C.

    Both servers ask for a secret, which it prints. Reads prefect.yaml and mlflow.db; writes
    mlflow.db, .downstream/logs/ and .downstream/server-secret; Prefect's server writes to
    PREFECT_HOME.
    """
    from flows.servers.up import up as start_all

    start_all(prefect_port, mlflow_port)
    return 0


@app.command
def mlflow(port: Annotated[int, Parameter(help="Where it listens on 127.0.0.1.")] = 5000) -> int:
    """Start an MLflow server over this workspace's runs and models, until Ctrl-C.

    It asks for a secret, which is printed. Reads and writes mlflow.db; writes .downstream/logs/ and
    .downstream/server-secret.
    """
    from flows.servers.up import show_mlflow

    show_mlflow(port)
    return 0


@app.command
def accept(
    *stages: Annotated[
        str, Parameter(help="Stages (finetune@reuters-topics) or all rows of one (finetune).")
    ],
    reason: Annotated[
        str | None,
        Parameter(
            help="Why the changed code does not reach the outputs; it is logged.", group=EVIDENCE
        ),
    ] = None,
    probe: Annotated[
        bool,
        Parameter(
            help="In place of a reason: those whose short run gives the same bytes with the code "
            "before and the code now; the others are refused.",
            group=EVIDENCE,
            negative="",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Record existing outputs as good under changed code, instead of running the stages again.

    Reads what plan reads, and refuses if anything but code or its defaults differs; writes
    dvc.lock, data/code/, and a line a stage to accepted.jsonl, which belongs in git.
    """
    from flows.plan.fingerprints import current_codes
    from flows.upkeep.accept import accept as accept_outputs

    if not stages:
        raise DownstreamError("accept: no stage was named; `downstream plan` lists those it can")
    if probe or reason is None:
        return _accept_probed(stages)
    for entry in accept_outputs(stages, reason, current_codes()):
        modules = ", ".join(entry["changed"]) or "no module"
        if entry["old_hash"] == entry["new_hash"]:
            say(f"{entry['stage']}: accepted, though it has read {modules}: `downstream run`")
        else:
            say(f"{entry['stage']}: accepted under new code ({modules})")
    return 0


def _accept_probed(stages: tuple[str, ...]) -> int:
    from flows.plan.fingerprints import current_codes
    from flows.upkeep.accept import accept_probed

    accepted, refused = accept_probed(stages, current_codes())
    for entry in accepted:
        say(f"{entry['stage']}: accepted: {entry['reason']}")
    for name, why in refused.items():
        say(f"error: {name}: not accepted: {why}")
    return 1 if refused else 0


@app.command
def upgrade() -> int:
    """Take the results of an earlier version of this project over, instead of running all again.

    Reads what plan reads. Records a result as good where only this project's own code and command
    differ; names what differs otherwise, and leaves that stage stale (exit code 1). Runs no stage;
    writes dvc.lock, data/code/, and a line a stage to accepted.jsonl, which belongs in git.
    """
    from flows.plan.fingerprints import current_codes
    from flows.upkeep.upgrade import upgrade as take_results_over

    done = take_results_over(current_codes())
    for entry in done.accepted:
        say(f"{entry['stage']}: taken over")
    for name, differences in done.refused.items():
        say(f"error: {name}: not only this project's code differs: {differences}")
    if not done.accepted and not done.refused:
        say("nothing to do: every result is one of this version")
    return 1 if done.refused else 0


@app.command
def sync() -> int:
    """Make MLflow agree with the workspace, and say what that took.

    Sends what waits, creates the versions that are missing, puts `candidate` on the model that
    lies in data/, and records the results that DVC has restored. Reads data/, dvc.lock and
    .downstream/mlflow/; writes to MLflow.
    """
    from flows.run.sync import synchronize

    return synchronize()


for command in (clean, data, export, generate, history, lineage, review, rollback):
    app.command(command)


def main(arguments: list[str] | None = None) -> int:
    """Run a command in the workspace of the current directory.

    Args:
        arguments: the command line; by default this process' own.

    Returns:
        The exit code.
    """
    gc.set_threshold(*COLLECTED_AFTER)
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
    except DownstreamError as error:
        if DEBUG in os.environ:
            raise
        say(f"error: {error}")
        return 1
    except Exception as error:
        if DEBUG in os.environ or not is_of_system(error):
            raise
        say(f"error: {in_words(error)}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
