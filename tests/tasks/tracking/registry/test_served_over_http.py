"""``mlflow models serve`` of a champion gives the scores that it was evaluated with."""

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from sklearn.datasets import load_digits

from tasks.contracts import files, paths
from tasks.metrics.predictions import Labelled, predict, read_predictions, write_predictions
from tasks.tracking.audit.aliases import CHAMPION, move
from tasks.tracking.audit.writer import Change
from tasks.tracking.registry.registry import reconcile
from tasks.tracking.store import opened, tracking_uri
from tests.classifiers import sample_texts, save_text_classifier
from tests.servers import free_port

NUM_REQUESTS = 200
SIZES = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
JSON = {"Content-Type": "application/json"}
STARTED_WITHIN_SECONDS = 120
Bodies = list[bytes]


def _text_model(folder: Path) -> Labelled:
    texts, labels = sample_texts()
    save_text_classifier(folder, "bert", SIZES, num_steps=20)
    chosen = [f"{text} {number}" for number, text in enumerate(texts)][:NUM_REQUESTS]
    return Labelled("text", [str(n) for n in range(len(chosen))], chosen, labels[: len(chosen)], 0)


def _image_model(folder: Path) -> Labelled:
    import torch

    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    torch.manual_seed(0)
    settings = convnet.Settings(channels=8, hidden_size=8)
    classes = [str(number) for number in range(10)]
    ImageModel(convnet.build(settings, ImageTraits(1, 8, 8)), classes).save(folder)
    digits = load_digits()
    contents = []
    for pixels in digits.images[:NUM_REQUESTS]:
        file = io.BytesIO()
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file, "PNG")
        contents.append(file.getvalue())
    labels = [str(label) for label in digits.target[:NUM_REQUESTS]]
    return Labelled("image", [str(n) for n in range(NUM_REQUESTS)], contents, labels, 0)


@pytest.fixture(scope="module")
def served(
    new_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[str, Labelled, Path]]]:
    """Both champions, each behind a server: its address, its records, its predictions."""
    folder = tmp_path_factory.mktemp("champions")
    (folder / "mlflow.db").write_bytes(new_store.read_bytes())
    with pytest.MonkeyPatch.context() as patch, ExitStack() as servers:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = {}
        for name, make in (("topics", _text_model), ("digits", _image_model)):
            records = make(paths.finetuned(name))
            made[name] = (records, _evaluated(name, records))
        assert reconcile(list(made)) == {"topics": 1, "digits": 1}
        with opened() as client:
            for name in made:
                move(client, name, Change("approve", CHAMPION, version_to=1))
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        started = {
            name: servers.enter_context(server_of_champion(name, elsewhere)) for name in made
        }
        for process, address in started.values():
            _wait(process, address)
        yield {name: (started[name][1], *made[name]) for name in made}


def _evaluated(name: str, records: Labelled) -> Path:
    """Write what evaluate and register leave of a model; return its predictions."""
    model, evidence = paths.finetuned(name), paths.stage_output("evaluate", name)
    found = predict(model, records)
    path = evidence.absolute() / "predictions.parquet"
    write_predictions(path, records, found.labels, found.scored, {})
    files.write_json(paths.metrics(name), {"accuracy": float(found.scored.correct.mean())})
    content_hash = files.sha256_of_folder(model)
    gates = {"passed": True, "missed": []}
    files.write_json(paths.version(name), {"content_hash": content_hash, "gates": gates})
    return path


@contextmanager
def server_of_champion(name: str, folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    port = str(free_port())
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PYTHONPATH", None)
    model = ["--model-uri", f"models:/{name}@champion", "--env-manager", "local"]
    command = ["mlflow", "models", "serve", *model, "--host", "127.0.0.1", "--port", port]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if requests.get(f"{address}/ping", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address}")


def _in_json(content: Any) -> Any:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


@pytest.mark.parametrize("name", ["topics", "digits"])
def test_two_hundred_answers_are_those_of_the_evaluation(
    served: dict[str, tuple[str, Labelled, Path]], name: str
) -> None:
    address, records, path = served[name]
    expected = read_predictions(path)
    with requests.Session() as session:
        for number, content in enumerate(records.contents):
            body = {"inputs": [_in_json(content)]}
            answer = session.post(f"{address}/invocations", json=body, timeout=30)
            assert answer.status_code == 200, answer.text
            (row,) = answer.json()["predictions"]
            scores = [row[f"score_{label}"] for label in expected.labels]
            assert scores == pytest.approx(list(expected.scored.scores[number]), abs=1e-5)
            assert row["label"] == expected.labels[expected.scored.predicted[number]]
            assert row["score"] == max(scores)
    assert len(records.contents) == NUM_REQUESTS


def _malformed(name: str) -> Bodies:
    no_image = base64.b64encode(b"no picture").decode()
    cut_off = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    wrong = {
        "topics": [[1], [None], [["a", "b"]], [{"text": "a"}], {"words": ["a"]}, None],
        "digits": [
            ["not base64!"],
            [no_image],
            [cut_off],
            [None],
            [[[300]]],
            [[[1, 2], [3]]],
            None,
        ],
    }[name]
    columns = {"columns": ["picture", "note"], "data": [["a", "b"]]}
    bodies = [{"inputs": inputs} for inputs in wrong] + [{"dataframe_split": columns}]
    others: list[Any] = [{}, {"texts": ["a"]}, [], "a", None, 1, {"dataframe_split": 1}]
    texts = [json.dumps(body).encode() for body in [*bodies, *others]]
    return [*texts, b"", b"{", b"\xff\xfe"]


@pytest.mark.parametrize("name", ["topics", "digits"])
def test_malformed_requests_are_refused_and_the_server_goes_on(
    served: dict[str, tuple[str, Labelled, Path]], name: str
) -> None:
    address, records, _ = served[name]
    url = f"{address}/invocations"
    for body in _malformed(name):
        answer = requests.post(url, data=body, headers=JSON, timeout=30)
        assert 400 <= answer.status_code < 500, (body[:80], answer.status_code, answer.text)
    other = requests.post(url, data=b"a", headers={"Content-Type": "a/b"}, timeout=30)
    assert other.status_code == 415
    fine = requests.post(url, json={"inputs": [_in_json(records.contents[0])]}, timeout=30)
    assert fine.status_code == 200


def test_what_is_no_image_is_named(served: dict[str, tuple[str, Labelled, Path]]) -> None:
    body = {"inputs": [base64.b64encode(b"no picture").decode()]}
    answer = requests.post(f"{served['digits'][0]}/invocations", json=body, timeout=30)
    assert "record 0 is not an image that can be decoded" in answer.json()["message"]
    assert "Traceback" not in answer.text
