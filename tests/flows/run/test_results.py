"""The table at the end."""

import json

import pytest

from flows.run.results import finish, model_row
from flows.run.session import Options, Session
from tests.flows.pipeline import Pipeline


def test_a_models_line_has_its_interval_baselines_gain_and_version(pipeline: Pipeline) -> None:
    assert model_row("m", 3) == {
        "model": "m",
        "accuracy": "90.00",
        "95 % interval": "85.00 - 95.00",
        "linear": "80.00",
        "NB-SVM": "-",
        "twin": "88.00",
        "gain": "+2.00",
        "version": "3",
    }


def test_a_baseline_is_shown_with_whether_the_model_is_ahead_of_it(pipeline: Pipeline) -> None:
    metrics = json.loads((pipeline.root / "data/evaluate/m/metrics.json").read_text())
    metrics["baselines"]["nb_svm"] = {"accuracy": 0.91}
    metrics["against"] = {
        name: {"verdict": verdict}
        for name, verdict in (("linear", "ahead"), ("nb_svm", "behind"), ("twin", "level"))
    }
    pipeline.write("data/evaluate/m/metrics.json", json.dumps(metrics))
    row = model_row("m", 3)
    assert (row["linear"], row["NB-SVM"]) == ("80.00 (ahead)", "91.00 (behind)")
    assert row["twin"] == "88.00 (level)"


def test_what_there_is_not_is_a_dash(pipeline: Pipeline) -> None:
    metrics = json.loads((pipeline.root / "data/evaluate/m/metrics.json").read_text())
    metrics["baselines"]["twin"] = {"accuracy": None}
    metrics["gain"] = None
    pipeline.write("data/evaluate/m/metrics.json", json.dumps(metrics))
    row = model_row("m", None)
    assert (row["twin"], row["gain"], row["version"]) == ("-", "-", "-")


def test_the_end_says_what_was_done_and_how_to_look_further(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(Options(), pipeline.codes(), pipeline.devices_of)
    assert [row["model"] for row in finish(session, 3.0)] == ["m", "n"]
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:2] == ["model", "accuracy"]
    assert out[1].split() == [
        "m",
        "90.00",
        "85.00",
        "-",
        "95.00",
        "80.00",
        "-",
        "88.00",
        "+2.00",
        "-",
    ]
    assert out[4:] == [
        "Nothing to do. Stages: 0 ran, 0 restored, 8 fresh.",
        "The runs and models:  downstream mlflow",
        "The flow's own pages: downstream up",
    ]


def test_servers_that_are_named_are_what_the_end_points_to(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(Options(), pipeline.codes(), pipeline.devices_of)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    finish(session, 3.0)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "The runs and models:  http://127.0.0.1:9",
        "The flow's own pages: http://127.0.0.1:4200",
    ]


def test_without_a_model_there_is_no_table(
    new_pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(Options(("clean",)), new_pipeline.codes(), new_pipeline.devices_of)
    capsys.readouterr()
    session.outcomes.update({"clean@a": "ran", "clean@b": "restored"})
    assert finish(session, 3.0) == []
    assert capsys.readouterr().out == "\nStages: 1 ran, 1 restored, 0 fresh; in 3.0 s.\n"
