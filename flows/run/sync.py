"""MLflow brought in step with the workspace: after every run, and by ``downstream sync``."""

from collections.abc import Callable, Iterable

from flows.terminal import console
from tasks.contracts import paths
from tasks.contracts.lock import hashes, md5_of, read_lock
from tasks.contracts.params import read_params, rows_of
from tasks.progress import say
from tasks.stage_process.stage_hash import entry_hash


def synchronize() -> int:
    """Bring MLflow in step, and print what that took.

    Returns:
        The exit code.

    Raises:
        Unreachable: MLflow is away.
    """
    from tasks.tracking.registry.registry import bring_in_step

    done: list[str] = []
    models = registered(rows_of(read_params(), "models"))
    versions = bring_in_step(models, evaluations(models), done.append)
    out = console()
    for line in done or ["Nothing to do: MLflow agrees with the workspace."]:
        out.print(line, soft_wrap=True)
    for model, version in versions.items():
        candidate = "no candidate" if version is None else f"candidate is version {version}"
        out.print(f"{model}: {candidate}", style="dim")
    return 0


def reconcile_workspace(
    models: Iterable[str], tell: Callable[[str], None] = say
) -> dict[str, int | None]:
    """Bring MLflow in step for some models; if it is away, that costs a line of warning.

    Args:
        models: rows of ``params.yaml``.
        tell: is given a line for each thing that was done.

    Returns:
        Each model's candidate; None also where that is not known.
    """
    models = list(models)
    known = registered(models)
    if not known:
        return dict.fromkeys(models)
    from tasks.tracking.registry.registry import reconcile

    versions = reconcile(known, evaluations(known), tell)
    return {model: versions.get(model) for model in models}


def registered(models: Iterable[str]) -> list[str]:
    """Return the models that have been registered in this workspace."""
    return [model for model in models if paths.version(model).is_file()]


def evaluations(models: Iterable[str]) -> dict[str, str]:
    """Return the stage hash of the ``evaluate`` that the metrics in the workspace are of."""
    lock = read_lock()
    stage_hashes = {}
    for model in models:
        entry, metrics = lock.get(f"evaluate@{model}", {}), paths.metrics(model)
        recorded = hashes(entry, "outs").get(metrics.as_posix())
        if recorded and recorded == md5_of(metrics):
            stage_hashes[model] = entry_hash(entry)
    return stage_hashes
