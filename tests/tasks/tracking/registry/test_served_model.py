"""A registered model answers raw records, wherever it is loaded."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.models.classifier import load_classifier
from tasks.tracking.registry.registry import reconcile
from tasks.tracking.store import tracking_uri
from tests.classifiers import save_text_classifier

COLUMNS = ["label", "score", "score_earn", "score_grain"]
TEXTS = ["wheat and corn", "net profit"]
GREY = (np.arange(64).reshape(8, 8) * 4).astype(np.uint8)


@pytest.fixture(scope="module")
def registered(
    text_model: Path,
    wide_model: Path,
    byte_model: Path,
    image_model: Path,
    new_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A workspace with the models registered."""
    from tasks.contracts import files, paths

    folder = tmp_path_factory.mktemp("registered")
    shutil.copy(new_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        models = {
            "topics": text_model,
            "digits": image_model,
            "wide": wide_model,
            "bytes": byte_model,
        }
        for name, model in models.items():
            shutil.copytree(model, paths.finetuned(name))
            files.write_json(paths.metrics(name), {"accuracy": 0.9})
            content_hash = files.sha256_of_folder(model)
            gates = {"passed": True, "missed": []}
            files.write_json(paths.version(name), {"content_hash": content_hash, "gates": gates})
        assert reconcile(list(models)) == dict.fromkeys(models, 1)
        yield folder


@pytest.fixture(scope="module")
def byte_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of one layer, trained for a few steps, that reads bytes."""
    folder = tmp_path_factory.mktemp("bytes") / "model"
    sizes = {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 64}
    save_text_classifier(folder, "gpt2", sizes, num_steps=4, by_bytes=True)
    return folder


@pytest.fixture
def load(registered: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Load a registered model, as its users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own code while it is imported
        import mlflow.pyfunc

    # Setting it writes to the environment too, which is put back after the test.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    mlflow.set_tracking_uri(tracking_uri())
    return lambda name: mlflow.pyfunc.load_model(f"models:/{name}@candidate")


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def test_texts_are_taken_in_any_form(load: Callable[[str], Any], text_model: Path) -> None:
    expected = load_classifier(text_model).scores(TEXTS)
    model = load("topics")
    forms = [
        TEXTS,
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS),
        pd.Series(TEXTS, name="text"),
        pd.DataFrame({"text": TEXTS}),
        {"text": TEXTS},
    ]
    for form in forms:
        found = model.predict(form)
        assert list(found.columns) == COLUMNS
        assert found[COLUMNS[2:]].to_numpy() == pytest.approx(expected, abs=1e-6)
        assert list(found["score"]) == pytest.approx(list(expected.max(axis=1)), abs=1e-6)
        labels = ["earn" if row[0] >= row[1] else "grain" for row in expected]
        assert list(found["label"]) == labels
    assert len(model.predict(TEXTS[0])) == 1


def test_a_wide_part_is_served_with_the_model(
    load: Callable[[str], Any], wide_model: Path, text_model: Path
) -> None:
    expected = load_classifier(wide_model).scores(TEXTS)
    found = load("wide").predict(TEXTS)[COLUMNS[2:]].to_numpy()
    assert found == pytest.approx(expected, abs=1e-6)
    assert abs(expected - load_classifier(text_model).scores(TEXTS)).max() > 0.05


def test_a_loaded_model_reads_no_file_any_more(
    load: Callable[[str], Any], registered: Path, tmp_path: Path
) -> None:
    """Every request read ``tokenizer.json`` once, which took longer than all the rest."""
    import mlflow

    expected = load("topics").predict(TEXTS)
    folder = Path(
        mlflow.artifacts.download_artifacts("models:/topics@candidate", dst_path=tmp_path)
    )
    model = mlflow.pyfunc.load_model(str(folder))
    shutil.rmtree(folder)
    for _ in range(2):
        assert model.predict(TEXTS).equals(expected)


def test_the_text_is_found_among_other_columns(load: Callable[[str], Any]) -> None:
    table = pd.DataFrame({"id": ["a"], "text": ["wheat"]})
    assert len(load("topics").predict(table)) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"words": ["a"]}), r"expected a column 'text', found \['words'\]"),
        ({"words": ["a"]}, r"expected a column 'text', found \['words'\]"),
        (["a", None], "record 1 is not a text but None"),
        ([["a", "b"]], r"record 0 is not a text but \['a', 'b'\]"),
        (1, "record 0 is not a text but 1"),
        (["a", "b\ud800"], "record 1: half a surrogate pair is no text"),
    ],
)
def test_what_is_no_text_is_refused(load: Callable[[str], Any], given: Any, message: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=message):
        load("topics").predict(given)


def test_images_are_taken_in_any_form(load: Callable[[str], Any], image_model: Path) -> None:
    encoded = _png(GREY)
    expected = load_classifier(image_model).scores([encoded])[0]
    model = load("digits")
    in_base64 = base64.b64encode(encoded).decode()
    forms: list[tuple[Any, int]] = [
        ([encoded], 1),
        (encoded, 1),
        (in_base64, 1),
        ([in_base64, encoded], 2),
        (GREY, 1),
        ([GREY, GREY], 2),
        (np.stack([GREY] * 3), 3),
        (GREY[:, :, None], 1),
        (np.stack([GREY[:, :, None]] * 2), 2),
        ([GREY.tolist()], 1),
        (np.stack([GREY] * 3, axis=2), 1),
        (pd.Series([encoded, encoded]), 2),
        (pd.DataFrame({"id": ["a"], "image": [encoded]}), 1),
        ({"image": in_base64}, 1),
    ]
    for form, num_records in forms:
        found = model.predict(form)
        assert list(found.columns) == COLUMNS
        assert len(found) == num_records
        assert found[COLUMNS[2:]].to_numpy()[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["not base64!"], "record 0 is a text, but not an image in base64"),
        (["é"], "record 0 is a text, but not an image in base64"),
        ([[[1, 2], [3]]], "record 0: pixels must be whole numbers from 0 to 255"),
        ([[[1, [2]], [3, 4]]], "record 0: pixels must be whole numbers from 0 to 255"),
        ([[[1, "a"], [None, {}]]], "record 0: pixels must be whole numbers from 0 to 255"),
        ([[[1, 10**30]]], "record 0: pixels must be whole numbers from 0 to 255"),
        ([{"a": 1}], "record 0: pixels must be whole numbers from 0 to 255"),
        ([None], "record 0: pixels must be whole numbers from 0 to 255"),
        ({"a" * 999: 1}, r"expected a column 'image', found .{80}$"),
        ([GREY, GREY / 300], r"record 1: pixels must be whole numbers from 0 to 255 \(uint8\)"),
        ([np.zeros(3, np.uint8)], r"record 0: expected an array H W or H W C, found the shape"),
        (pd.DataFrame({"picture": [b""]}), r"expected a column 'image', found \['picture'\]"),
    ],
)
def test_what_is_no_image_is_refused(load: Callable[[str], Any], given: Any, message: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=message):
        load("digits").predict(given)


def test_no_records_give_an_empty_table(load: Callable[[str], Any]) -> None:
    assert list(load("digits").predict([]).columns) == COLUMNS
    assert len(load("digits").predict([])) == 0


def test_a_server_answers_in_json(load: Callable[[str], Any], monkeypatch: Any) -> None:
    from mlflow.pyfunc import scoring_server

    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    bodies = {
        "topics": [
            {"inputs": TEXTS},
            {"inputs": {"text": TEXTS}},
        ],
        "digits": [{"inputs": [base64.b64encode(_png(GREY)).decode()] * 2}],
    }
    for name, payloads in bodies.items():
        model = load(name)
        for payload in payloads:
            answer = scoring_server.invocations(
                data=json.dumps(payload),
                content_type="application/json",
                model=model,
                input_schema=model.metadata.get_input_schema(),
            )
            assert answer.status == 200, answer.response
            rows = json.loads(answer.response)["predictions"]
            assert [list(row) for row in rows] == [COLUMNS, COLUMNS]


def test_models_load_from_elsewhere_without_this_repository_and_without_pickle(
    registered: Path, byte_model: Path, tmp_path: Path, load: Callable[[str], Any]
) -> None:
    # Another package called "tasks" stands first in line, and must not be touched.
    (tmp_path / "tasks.py").write_text("raise RuntimeError('the wrong tasks was imported')\n")
    script = tmp_path / "predict.py"
    script.write_text(
        "import json, sys\n"
        "import mlflow\n"
        "topics = mlflow.pyfunc.load_model('models:/topics@candidate')\n"
        "digits = mlflow.pyfunc.load_model('models:/digits@candidate')\n"
        "by_bytes = mlflow.pyfunc.load_model('models:/bytes@candidate')\n"
        "import numpy as np\n"
        "image = np.zeros((8, 8), np.uint8)\n"
        "frames = [topics.predict(['wheat and corn']), digits.predict(image),\n"
        "          by_bytes.predict(['Wheat  and\\n corn'])]\n"
        "used = [name for name in sys.modules if name.partition('.')[0] in ('tasks', 'flows')]\n"
        "print(json.dumps([used, *(frame.to_dict('records') for frame in frames)]))\n"
    )
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    used, topics, digits, by_bytes = json.loads(done.stdout.splitlines()[-1])
    assert used == []
    here = load("topics").predict(["wheat and corn"]).to_dict("records")
    assert topics[0]["label"] == here[0]["label"]
    assert topics[0]["score"] == pytest.approx(here[0]["score"], abs=1e-6)
    assert list(digits[0]) == COLUMNS
    [expected], [other] = map(
        load_classifier(byte_model).scores, (["Wheat  and\n corn"], ["wheat"])
    )
    assert by_bytes[0]["score"] == pytest.approx(expected.max(), abs=1e-6)
    assert abs(expected - other).max() > 1e-4
    assert not list(registered.rglob("*.pkl"))


def test_signature_and_example_say_what_goes_in_and_out(load: Callable[[str], Any]) -> None:
    for name, kind in (("topics", "string"), ("digits", "binary")):
        model = load(name)
        signature = model.metadata.signature
        assert [column.type.name for column in signature.inputs] == [kind]
        assert signature.outputs.input_names() == COLUMNS
        assert list(model.predict(model.input_example).columns) == COLUMNS
