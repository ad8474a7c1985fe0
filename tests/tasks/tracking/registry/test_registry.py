"""A version a content, and the candidate follows the workspace."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.contracts import files, paths
from tasks.errors import Unreachable
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.bindings import gate_of
from tasks.tracking.registry.registry import (
    _changes,
    _sendings,
    _State,
    bring_in_step,
    publish,
    reconcile,
    summary,
)
from tasks.tracking.registry.version import BINDINGS, READ, folded, read_version
from tasks.tracking.runs import outbox
from tasks.tracking.store import opened

PutModel = Callable[..., str]
AWAY = "http://127.0.0.1:9"


def _publish(name: str) -> int | None:
    version = files.read_json(paths.version(name))
    evidence = paths.stage_output("evaluate", name)
    return publish(name, paths.finetuned(name), version, evidence, gate_of(name))


def _num_versions(name: str) -> int:
    with opened() as client:
        return len(client.search_model_versions(f"name = '{name}'"))


def test_a_content_is_published_once(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    assert _publish("topics") == 1
    assert _publish("topics") == 1
    assert _num_versions("topics") == 1
    with opened() as client:
        assert aliases_of(client, "topics") == {"candidate": 1}


def test_the_candidate_follows_the_workspace_there_and_back(
    workspace: Path, text_model: Path, other_text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    assert reconcile(["topics"]) == {"topics": 1}
    put_model("topics", other_text_model)
    assert reconcile(["topics"]) == {"topics": 2}
    # DVC restores the first model and its version.json without running register.
    put_model("topics", text_model)
    assert reconcile(["topics"]) == {"topics": 1}
    assert _num_versions("topics") == 2


def test_models_that_are_not_registered_in_the_workspace_are_left_alone(workspace: Path) -> None:
    assert reconcile(["topics", "digits"]) == {"topics": None, "digits": None}


def test_a_model_finetuned_anew_is_not_published_under_the_old_verdict(
    workspace: Path, text_model: Path, other_text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    shutil.rmtree(paths.finetuned("topics"))
    shutil.copytree(other_text_model, paths.finetuned("topics"))
    assert reconcile(["topics"]) == {"topics": None}


def test_a_model_that_misses_a_gate_is_a_version_but_no_candidate(
    workspace: Path, text_model: Path, other_text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    _publish("topics")
    put_model("topics", other_text_model, passed=False)
    assert _publish("topics") == 2
    assert reconcile(["topics"]) == {"topics": 1}
    with opened() as client:
        tags = read_version(client, "topics", 2).tags
    assert tags["downstream.gate"] == "missed"
    assert tags["downstream.gate_missed"] == "accuracy is 0.9, below 0.95"


def test_a_version_is_bound_to_its_content_and_carries_the_evidence(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    content_hash = put_model("topics", text_model)
    _publish("topics")
    with opened() as client:
        version = client.get_model_version("topics", "1")
        run = client.get_run(version.run_id)
        evidence = {file.path for file in client.list_artifacts(version.run_id, "evaluation")}
        tags = read_version(client, "topics", 1).tags
    assert tags["downstream.content_hash"] == content_hash
    assert tags["downstream.weights_sha256"] == files.sha256(text_model / "model.safetensors")
    assert tags["downstream.gate"] == "passed"
    assert version.description == "# topics\n\nGood.\n\n## By class\n\nEqual.\n"
    assert run.data.metrics == {"accuracy": 0.9}
    assert evidence == {
        f"evaluation/{name}"
        for name in ("README.md", "README.html", "metrics.json", "predictions.parquet", "plots")
    }


def test_the_page_of_a_version_shows_what_a_reviewer_reads(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    _publish("topics")
    with opened() as client:
        tags = client.get_model_version("topics", "1").tags
    assert set(tags) == {"accuracy", "verdict", "review", BINDINGS}
    assert (tags["accuracy"], tags["review"]) == ("90.00 %", "not reviewed")
    against = {"verdict": "ahead", "won": 9, "lost": 1, "p_value": 0.0215}
    metrics = {
        "accuracy": 0.9,
        "gain": 0.05,
        "intervals": {"accuracy": [0.85, 0.95], "gain": [0.01, 0.09]},
        "baselines": {"linear": {"accuracy": 0.82}},
        "against": {"linear": against},
    }
    assert summary(metrics, []) == {
        "accuracy": "90.00 % (85.00 to 95.00)",
        "lead over linear": "+8.00 points, ahead (p = 0.021)",
        "gain": "+5.00 points (1.00 to 9.00)",
        "verdict": "passes its gates",
    }
    assert summary({}, ["accuracy has no value"]) == {"verdict": "misses: accuracy has no value"}


def test_a_version_that_an_earlier_project_wrote_is_read_and_tidied_up(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    _publish("topics")
    with opened() as client:
        before = read_version(client, "topics", 1)
        for name in (BINDINGS, *READ):
            client.delete_model_version_tag("topics", "1", name)
        earlier = {name: text for name, text in before.tags.items() if name not in READ}
        for name, text in {**earlier, "downstream.review": "approved"}.items():
            client.set_model_version_tag("topics", "1", name, text)
        assert read_version(client, "topics", 1).content_hash == before.content_hash
    _publish("topics")
    assert _num_versions("topics") == 1
    with opened() as client:
        tags = client.get_model_version("topics", "1").tags
        after = read_version(client, "topics", 1)
    assert set(tags) == {"accuracy", "verdict", "review", BINDINGS}
    assert tags["review"] == "approved"
    assert {name: after.tags[name] for name in earlier} == earlier


def test_what_a_version_is_bound_to_is_not_overruled_by_another_tag(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    content_hash = put_model("topics", text_model)
    _publish("topics")
    with opened() as client:
        client.set_model_version_tag("topics", "1", "downstream.content_hash", "f" * 64)
        assert read_version(client, "topics", 1).content_hash == content_hash
        for damaged in ("no JSON", "[]", "[" * 4000, '{"downstream.content_hash": 3}'):
            client.set_model_version_tag("topics", "1", BINDINGS, damaged)
            assert read_version(client, "topics", 1).content_hash == "f" * 64
    assert folded({"gain": "+1", "b": "2", "a": "1"}) == {
        "gain": "+1",
        BINDINGS: '{"a": "1", "b": "2"}',
    }


def test_a_version_whose_files_are_gone_is_published_again(
    workspace: Path, text_model: Path, put_model: PutModel
) -> None:
    put_model("topics", text_model)
    assert reconcile(["topics"]) == {"topics": 1}
    shutil.rmtree(workspace / "mlartifacts")
    assert reconcile(["topics"]) == {"topics": 2}


def test_while_the_server_is_away_a_version_waits_with_its_weights(
    workspace: Path,
    text_model: Path,
    other_text_model: Path,
    put_model: PutModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    first = put_model("topics", text_model)
    assert _publish("topics") is None
    second = put_model("topics", other_text_model)
    assert _publish("topics") is None
    assert reconcile(["topics"]) == {}
    assert "The registry was not compared with the workspace" in capsys.readouterr().err
    with pytest.raises(Unreachable, match=r"no MLflow server answers at http://127\.0\.0\.1:9"):
        bring_in_step(["topics"], {}, print)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert reconcile(["topics"]) == {"topics": 2}
    assert outbox.waiting() == 0
    with opened() as client:
        hashes = [
            read_version(client, "topics", number).tags["downstream.content_hash"]
            for number in (1, 2)
        ]
    assert hashes == [first, second]


def test_each_change_of_the_registry_is_a_line() -> None:
    before = {"a": _State(None, 0), "b": _State(2, 2), "c": _State(1, 3)}
    after = {"a": _State(1, 1), "b": _State(1, 2), "c": _State(1, 3)}
    assert list(_changes(before, after, ["c"])) == [
        "a: version 1 is new in the registry",
        "a: candidate is version 1, was none",
        "b: candidate is version 1, was 2",
        "c: its evaluation, which MLflow did not know, is recorded as restored",
    ]


def test_what_waited_is_counted() -> None:
    assert list(_sendings(0, 0)) == []
    assert list(_sendings(3, 1)) == [
        "2 record(s) that had waited for MLflow are sent",
        "1 record(s) still wait for MLflow",
    ]
