"""What Prefect starts at a button or by itself: the flow ``train``, and ``prefect.yaml``.

``prefect.yaml`` is the one place of names, schedules and default parameters: ``prefect deploy``
reads it for workers, ``downstream serve`` for a process of its own.
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from prefect import flow
from prefect.states import Failed, State
from pydantic import Field

from flows.orchestration.pipeline import downstream
from flows.orchestration.settings import end_with_runner
from flows.run.session import Engine
from flows.run.set_params import set_values
from tasks.errors import BadSettings, DownstreamError

PREFECT_YAML = Path("prefect.yaml")
Value = bool | int | float | str | None
Overrides = dict[str, Value | list[Value]]
NONE: Overrides = {}


@flow(name="train", persist_result=False)
def train(  # noqa: PLR0913, PLR0917 - the form of the deployment
    targets: tuple[str, ...] = (),
    overrides: Overrides = NONE,
    jobs: Annotated[int, Field(ge=0)] = 0,
    force: bool = False,
    keep_going: bool = False,
    skip_gpu: bool = False,
    pull: bool = False,
    push: bool = False,
    engine: Engine = "local",
) -> State[Any]:
    """Run the stages that are not fresh in this workspace, after changing its parameters if asked.

    Args:
        targets: stages (evaluate@reuters-topics) or all rows of one (evaluate), with all that lies
            upstream of them; none runs the whole pipeline.
        overrides: keys of params.yaml and their new values, which stay there, for example
            {"models.reuters-topics.finetune.learning_rate": 0.0005}.
        jobs: how many CPU stages run at once; 0 is the number of cores.
        force: run fresh stages too: the targets, or all where there are none.
        keep_going: after a failure, start what does not depend on the stage that failed.
        skip_gpu: leave the GPU stages that would have to run, and what waits on them.
        pull: take results from DVC's remote instead of computing them.
        push: send results to DVC's remote.
        engine: where the stages run: "local", "slurm" as jobs, or "pools": those that need a GPU
            by the workers of the work pool gpu.
    """
    end_with_runner()
    try:
        set_values(overrides)
    except DownstreamError as error:
        return Failed(message=str(error))
    # Its stages are task runs of this flow run.
    ended: State[Any] = downstream.fn(
        list(targets),
        jobs or None,
        force,
        keep_going,
        skip_gpu,
        pull=pull,
        push=push,
        engine=engine,
    )
    return ended


def read_deployments(path: Path = PREFECT_YAML) -> list[dict[str, Any]]:
    """Return the deployments of ``prefect.yaml``.

    Raises:
        BadSettings: the file is missing, is no YAML, or lists none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSettings(f"{path} is missing: it lists what is served") from None
    except yaml.YAMLError as error:
        raise BadSettings(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    deployments: list[dict[str, Any]] | None = (
        content.get("deployments") if isinstance(content, dict) else None
    )
    if not deployments:
        raise BadSettings(f"{path}: expected a list of deployments, found {deployments!r}")
    return deployments
