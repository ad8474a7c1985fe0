"""Register: write ``version.json``, then publish the model."""

from pathlib import Path

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.progress import say
from tasks.register.gates import missed_gates
from tasks.register.settings import Settings
from tasks.tracking.registry import publish


def run(
    model_name: str,
    model: Path,
    metrics: Path,
    card: Path,
    plots: Path,
    output: Path,
    settings: Settings,
) -> None:
    """Write the content hash and the gates' verdict, and register the model as a version.

    Args:
        model_name: the row of ``params.yaml``.
        model: the finetuned model's folder.
        metrics: its test metrics.
        card: its model card.
        plots: the folder of its plots.
        output: the folder that is written.
        settings: the gates.

    Raises:
        BadInput: the metrics are no JSON.
    """
    try:
        found = files.read_json(metrics)
    except ValueError:
        raise BadInput(f"{metrics} is not JSON: run evaluate@{model_name} again") from None
    missed = missed_gates(found, settings.floors)
    version = {
        "model": model_name,
        "content_hash": files.sha256_of_folder(model),
        "gates": {"passed": not missed, "missed": missed},
    }
    files.write_json(output / "version.json", version)
    number = publish(model_name, model, version, found, card, plots)
    for reason in missed:
        say(f"{model_name}: not a candidate: {reason}")
    if number is not None:
        say(f"{model_name}: version {number}{'' if missed else ', candidate'}")
