"""Requests to a served model, texts and images: whatever a client may send to its server.

The server is MLflow's, in this process; the model is registered and loaded as it would be. What
MLflow makes of a request before the model is called is not ours: its own traceback is a refusal.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import mutations, sources
from benchmarks.fuzz.cases import LONGEST_TEXT, MOST_LINES, Kind, Refused, Wrong

LABELS = ["earn", "grain"]
ANSWERED = 200
MISTAKES = range(400, 500)
ERROR = "\nError: "
"""What MLflow puts before the model's own refusal, after all that it was sent."""
_APPS: dict[str, Any] = {}


def plant(folder: Path) -> None:
    """Register a model of texts and one of images."""
    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel
    from tasks.tracking.registry.packaging import log_model
    from tasks.tracking.store import opened
    from tests.classifiers import save_tiny_bert

    save_tiny_bert(folder / "text", [text for text, _ in sources.rows()], LABELS, 200)
    sizes = convnet.Settings(channels=8, hidden_size=8)
    ImageModel(convnet.build(sizes, ImageTraits(1, 8, 8)), LABELS).save(folder / "image")
    os.chdir(folder)
    with opened() as client:
        run = client.create_run(client.create_experiment("models"))
        for modality in ("text", "image"):
            logged = client.get_logged_model(log_model(folder / modality, run.info.run_id))
            place = logged.artifact_location.removeprefix("file://")
            shutil.copytree(place, folder / "served" / modality)


def prepare(planted: Path) -> None:
    """Load both models, each behind a server."""
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        from mlflow.pyfunc import scoring_server
        from starlette.testclient import TestClient

    for modality in ("text", "image"):
        model = mlflow.pyfunc.load_model(str(planted / "served" / modality))
        _APPS[modality] = TestClient(scoring_server.init(model))


def write(random: Random, _planted: Path, folder: Path) -> None:
    """Write the body of a request."""
    modality = random.choice(["text", "image"])
    (folder / "modality").write_text(modality)
    contents = [_content(random, modality) for _ in range(random.choice([1, 2, 5]))]
    key = random.choice(["inputs"] * 6 + ["instances", "dataframe_split", "dataframe_records"])
    value: Any = contents
    if key == "dataframe_split":
        value = {"columns": [modality], "data": [[content] for content in contents]}
    elif key == "dataframe_records":
        value = [{modality: content} for content in contents]
    elif random.random() < 0.2:
        value = {modality: contents}
    body: Any = {key: value}
    if random.random() < 0.6:
        body = mutations.mutated(random, body)
    text = mutations.encoded(mutations.json_text(body))
    if random.random() < 0.2:
        text = mutations.mutated_bytes(random, text)
    kind = random.choice(["application/json"] * 9 + ["text/csv", "application/x-parquet"])
    if kind == "text/csv" and random.random() < 0.8:
        text = mutations.mutated_bytes(random, sources.table("csv", sources.rows()))
    if kind == "application/x-parquet":
        text = sources.parquet(sources.rows(), modality, random)
    (folder / "kind").write_text(kind)
    (folder / "body").write_bytes(text)


def _content(random: Random, modality: str) -> Any:
    if modality == "text":
        return random.choice(mutations.TEXTS) if random.random() < 0.5 else "wheat rose"
    if random.random() < 0.2:
        pixels = [[random.choice([0, 7, 255]) for _ in range(8)] for _ in range(8)]
        return mutations.mutated(random, pixels) if random.random() < 0.5 else pixels
    png = sources.image(random.choice(sorted(set(sources.IMAGE_FORMATS.values()))), 1)
    if random.random() < 0.6:
        png = mutations.mutated_bytes(random, png)
    return base64.b64encode(png).decode()


def attempt() -> None:
    """Send it, and judge the answer."""
    client = _APPS[Path("modality").read_text()]
    headers = {"Content-Type": Path("kind").read_text()}
    body = Path("body").read_bytes()
    try:
        answer = client.post("/invocations", content=body, headers=headers)
    except Exception as error:
        if _is_ours("".join(traceback.format_exception(error))):
            raise
        raise Refused(f"by MLflow itself: {type(error).__name__}") from None
    if answer.status_code == ANSWERED:
        json.loads(answer.text, parse_constant=_no_number)
        return
    if answer.status_code not in MISTAKES:
        raise Wrong(f"answer {answer.status_code}: {answer.text[:300]}")
    try:
        told = answer.json()
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    if _is_ours(str(told.get("stack_trace", ""))):
        trace = told["stack_trace"].strip()
        raise Wrong(f"a traceback was sent: {trace[-2000:]}", trace.splitlines()[-1][:80])
    message = str(told.get("message", answer.text))
    # What stands before is what was sent, or MLflow's own about the shape of a request.
    _, found, own = message.rpartition(ERROR)
    if found and (len(own) >= LONGEST_TEXT or len(own.splitlines()) > MOST_LINES):
        raise Wrong(f"a refusal of {len(own)} characters: {own[:300]}", own[:30])
    raise Refused(own[:300] if found else " ".join(message.split())[:300])


def _is_ours(trace: str) -> bool:
    return "downstream_model_" in trace or "served_model.py" in trace


def _no_number(name: str) -> Any:
    raise Wrong(f"an answer holds {name}, which is no JSON")


REQUESTS = Kind("requests", 20, plant, prepare, write, attempt)
