"""What it costs to serve a model: measured on the machine that asks, when a model is promoted.

The figures differ from machine to machine and from run to run, so they go to MLflow and never into
a DVC output.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.errors import BadInput
from tasks.metrics.cost import milliseconds, size_of
from tasks.promotion.comparison.schema import Serving


def measure_serving(folder: Path, contents: Sequence[Any]) -> Serving:
    """Score records one at a time, as a server does, and weigh the model's files.

    Args:
        folder: the finetuned model's folder.
        contents: texts, or encoded images; 50 test records are enough.

    Raises:
        BadInput: there is no record.
    """
    import numpy as np

    from tasks.heads._model import load_predictor
    from tasks.models.classifier import load_classifier
    from tasks.models.model import description

    if len(contents) == 0:
        raise BadInput(f"{folder}: there is no record to measure the latency with")
    is_headed = "head" in description(folder)
    answer = load_predictor(folder).answers if is_headed else load_classifier(folder).scores
    times = milliseconds(answer, contents)
    median, p95 = np.quantile(times, [0.5, 0.95])
    return {"median_ms": float(median), "p95_ms": float(p95), "size_bytes": size_of(folder)}
