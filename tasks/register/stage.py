"""Register: write ``version.json``, then publish the model."""

from pathlib import Path
from typing import Any

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.progress import say
from tasks.promotion.gates import missed_gates
from tasks.register.settings import Settings
from tasks.tracking.registry.registry import publish


def run(
    model_name: str,
    model: Path,
    evidence: Path,
    gate: Path,
    output: Path,
    settings: Settings,
) -> None:
    """Write the content hash and the gates' verdict, and register the model as a version.

    Args:
        model_name: the row of ``params.yaml``.
        model: the finetuned model's folder.
        evidence: what ``evaluate`` has written: its metrics, predictions, model card and plots.
        gate: the verdict of ``validate`` on its corpus.
        output: the folder that is written.
        settings: the gates.

    Raises:
        BadInput: the metrics or the verdict are no JSON.
    """
    metrics = _read(evidence / "metrics.json", f"evaluate@{model_name}")
    missed = missed_gates(metrics, _read(gate, f"validate@{gate.parent.name}"), settings)
    version = {
        "model": model_name,
        "content_hash": files.sha256_of_folder(model),
        "gates": {"passed": not missed, "missed": missed},
    }
    files.write_json(output / "version.json", version)
    number = publish(model_name, model, version, evidence, gate)
    for reason in missed:
        say(f"{model_name}: not a candidate: {reason}")
    if number is not None:
        say(f"{model_name}: version {number}{'' if missed else ', candidate'}")


def _read(path: Path, stage: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = files.read_json(path)
    except ValueError:
        raise BadInput(f"{path} is not JSON: run {stage} again") from None
    return content
