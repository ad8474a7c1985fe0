"""The verdict is written, and does not depend on MLflow."""

from pathlib import Path

import pytest

from tasks.contracts import files, paths
from tasks.errors import BadInput, BadSettings
from tasks.register.settings import Settings
from tasks.register.stage import run
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.registry import reconcile
from tasks.tracking.store import opened


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A convnet in a workspace of its own, with its evidence."""
    import torch

    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = paths.finetuned("digits")
    torch.manual_seed(0)
    settings = convnet.Settings(channels=8, hidden_size=8)
    ImageModel(convnet.build(settings, ImageTraits(1, 8, 8)), ["a", "b"]).save(folder)
    files.write_json(paths.metrics("digits"), {"accuracy": 0.9, "gain": None})
    files.write_text(paths.metrics("digits").with_name("README.md"), "# digits\n")
    files.write_json(paths.gate("numbers"), {"passed": True})
    return folder


def _run(model: Path, settings: Settings) -> bytes:
    evidence = paths.stage_output("evaluate", "digits")
    run(
        "digits",
        model,
        evidence,
        paths.gate("numbers"),
        paths.stage_output("register", "digits"),
        settings,
    )
    return paths.version("digits").read_bytes()


def test_the_version_names_the_content_and_the_verdict_with_or_without_a_server(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = _run(model, Settings())
    assert files.read_json(paths.version("digits")) == {
        "model": "digits",
        "content_hash": files.sha256_of_folder(model),
        "gates": {"passed": True, "missed": []},
    }
    with opened() as client:
        assert aliases_of(client, "digits") == {"candidate": 1}
    assert capsys.readouterr().err == "digits: version 1, candidate\n"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert _run(model, Settings()) == written
    assert "1 record(s) wait in .downstream/mlflow/outbox" in capsys.readouterr().err


def test_a_model_below_a_floor_is_recorded_and_is_no_candidate(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(model, Settings(floors={"accuracy": 0.95, "gain": 0.0}))
    assert files.read_json(paths.version("digits"))["gates"] == {
        "passed": False,
        "missed": [
            "accuracy is 0.9, below the floor of 0.95",
            "gain has no value; allowed: accuracy",
        ],
    }
    assert reconcile(["digits"]) == {"digits": None}
    told = capsys.readouterr().err
    assert "digits: not a candidate: accuracy is 0.9, below the floor of 0.95\n" in told


def test_a_corpus_that_has_not_passed_its_validation_gives_no_candidate(model: Path) -> None:
    files.write_json(paths.gate("numbers"), {"passed": False})
    _run(model, Settings())
    assert files.read_json(paths.version("digits"))["gates"] == {
        "passed": False,
        "missed": ["the corpus has not passed its validation"],
    }


def test_broken_metrics_name_the_file_and_what_to_run(model: Path) -> None:
    paths.metrics("digits").write_text("{")
    with pytest.raises(BadInput, match=r"evaluate/digits/metrics\.json is not JSON: run evaluate@"):
        _run(model, Settings())
    assert not paths.version("digits").exists()


def test_a_broken_verdict_names_the_file_and_what_to_run(model: Path) -> None:
    paths.gate("numbers").write_text("{")
    with pytest.raises(BadInput, match=r"gate\.json is not JSON: run validate@numbers again"):
        _run(model, Settings())


def test_a_floor_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"models\.m\.register\.floors\.accuracy: .*found 'high'"):
        Settings.parse({"floors": {"accuracy": "high"}}, "models.m.register")
