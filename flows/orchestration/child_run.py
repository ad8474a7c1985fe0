"""The pipeline of another checkout, its stages as task runs of a flow run that this process holds.

A nightly flow run starts with the code of the workspace that serves it, and works in a clone that
may be at another commit. What it runs there must be the clone's own code, or code and data would
not match: so it is a process of its own, ``python -m flows.orchestration.child_run``, started in
the clone. That process acts inside the flow run, so that the stages are on its page; it ends with
its starter, and on SIGTERM it ends the stages first.
"""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.results import get_result_store
from prefect.runtime import flow_run
from prefect.states import State

from flows.orchestration.pipeline import downstream
from tasks.errors import StageFailed


def run_pipeline_in(
    checkout: Path,
    targets: tuple[str, ...],
    jobs: int,
    environment: dict[str, str],
    alone: str = "",
) -> State[Any]:
    """Run the pipeline of another checkout, its stages as task runs of the present flow run.

    Args:
        checkout: its root.
        targets: stages or all rows of one, with all that lies upstream; none is everything.
        jobs: how many CPU stages run at once; 0 is the number of cores.
        environment: the process' whole environment.
        alone: the stage hash of the one target, which is run without its upstream; its inputs come
            from DVC's remote, and its result goes there.

    Returns:
        How it ended.

    Raises:
        StageFailed: the process ended without a word.
    """
    interrupted: BaseException | None = None
    with tempfile.TemporaryDirectory() as folder:
        end = Path(folder) / "state.json"
        request = {"flow_run": str(flow_run.id), "targets": targets, "jobs": jobs, "end": str(end)}
        request |= {"alone": alone} if alone else {}
        command = [sys.executable, "-m", "flows.orchestration.child_run", json.dumps(request)]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            # It takes seconds to import Prefect, and may lose its starter meanwhile.
            [sys.executable, "-m", "flows.servers.child", *command],
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            # Ctrl-C in a terminal goes to a whole process group; this one gets SIGTERM from us.
            process_group=0,
        )
        while process.returncode is None:
            try:
                process.wait()
            except (KeyboardInterrupt, TerminationSignal) as error:
                interrupted = error
                process.terminate()
        if end.exists():
            return State.model_validate_json(end.read_text(encoding="utf-8"))
    raise interrupted or StageFailed(
        f"the run in {checkout} ended with exit code {process.returncode} and without a result: "
        "its last lines say why"
    )


def main(request: dict[str, Any]) -> None:
    """Run the pipeline of the current directory inside a flow run, and write down how it ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with get_client(sync_client=True) as client, downstream.task_runner.duplicate() as task_runner:
        context = FlowRunContext(
            flow=downstream,
            flow_run=client.read_flow_run(UUID(request["flow_run"])),
            client=client,
            task_runner=task_runner,
            result_store=get_result_store(),
            persist_result=False,
            detached=True,
        )
        with context:
            alone = request.get("alone", "")
            share = {"pull": True, "push": True, "alone": alone} if alone else {}
            ended: State[Any] = downstream.fn(request["targets"], request["jobs"] or None, **share)
    said = ended.model_dump_json(include={"type", "name", "message"})
    Path(request["end"]).write_text(said, encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
