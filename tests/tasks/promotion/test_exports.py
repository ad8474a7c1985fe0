"""What is exported was compared with the registered version, and nothing that is worse leaves."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.export import comparison
from tasks.export.network import write_network
from tasks.promotion.exports import export
from tasks.promotion.review.decisions import request_and_decide
from tasks.promotion.review.markdown import to_markdown
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import request
from tasks.tracking.registry.version import read_version
from tasks.tracking.store import opened
from tests.classifiers import save_text_classifier
from tests.tasks.promotion.scene import MODEL, Scene


def kept(name: str) -> Any:
    with opened() as client:
        run = read_version(client, MODEL, 1).evidence_run
        return files.read_json(Path(client.download_artifacts(run, name)))


def test_a_version_is_exported_with_how_it_does_which_is_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    scene.register("good")
    folder, found = export(MODEL, None, None, int8=False)
    assert folder == paths.STATE / "exports" / f"{MODEL}-1-fp32"
    assert (found.version, found.same_answers) == (1, 1.0)
    assert found.value == found.registered_value > 0.5
    assert kept("export/onnx-fp32.json")["records"] == found.records > 200
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "model.json", "model.onnx", "predict.py", "tokenizer.json"),
    }
    assert found.sentence in (folder / "README.md").read_text()
    smaller, as_int8 = export(MODEL, 1, Path("small"), int8=True)
    assert smaller == Path("small")
    assert as_int8.same_answers > 0.95
    assert as_int8.size_bytes < found.size_bytes
    assert not list(Path().glob(".export-*"))
    Path("mine").mkdir()
    Path("mine/predict.py").write_text("of somebody else")
    (smaller / "notes.txt").write_text("of somebody else")
    for taken in (Path("mine"), smaller, Path("mine/predict.py")):
        with pytest.raises(BadInput, match=f"--output: {taken} exists, and is not what an export"):
            export(MODEL, 1, taken, int8=False)
    with pytest.raises(BadInput, match="no version 7 in the registry"):
        export(MODEL, 7, None, int8=False)


def test_what_is_behind_the_registered_version_is_not_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.register("good")

    def write_a_poor_one(folder: Path, target: Path, *, int8: bool) -> None:
        write_network(scene.models["poor"], target, int8=int8)

    monkeypatch.setattr(comparison, "write_network", write_a_poor_one)
    with pytest.raises(BadInput, match="not exported, since fp32 is behind it: The same label"):
        export(MODEL, None, Path("out"), int8=False)
    assert not Path("out").exists()
    with pytest.raises(BadInput, match="neither a champion nor a candidate"):
        _without_aliases()


def _without_aliases() -> None:
    with opened() as client:
        client.delete_registered_model_alias(MODEL, "candidate")
    export(MODEL, None, Path("out"), int8=False)


def test_a_candidate_is_reviewed_as_its_row_wants_it_exported(scene: Scene) -> None:
    scene.configure({"export": {"precisions": ["fp32", "int8"]}})
    scene.register("good")
    review = request(MODEL)
    report = read_report(review)
    as_fp32, as_int8 = report.summary["exported"]
    assert (as_fp32["same_answers"], as_fp32["better_by"]) == (1.0, 0.0)
    assert as_fp32["interval"][0] < 0 < as_fp32["interval"][1]
    assert (as_int8["records"], as_int8["size_bytes"] < as_fp32["size_bytes"]) == (234, True)
    assert kept("export/onnx-int8.json") == as_int8
    assert '<th scope="row">ONNX, int8</th>' in report.page
    shown = to_markdown(report, "short")
    assert f"| int8 | {as_int8['value']:.4f}, was {as_int8['registered_value']:.4f} |" in shown
    # What is written for somebody is what was reviewed.
    assert export(MODEL, None, None, int8=True)[1].sha256 == as_int8["sha256"]


def test_a_candidate_that_loses_too_much_as_it_is_exported_is_rejected_by_name(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.configure({"export": {}})
    scene.register("good")

    def write_a_poor_one(folder: Path, target: Path, *, int8: bool) -> None:
        write_network(scene.models["poor"], target, int8=int8)

    monkeypatch.setattr(comparison, "write_network", write_a_poor_one)
    review = request_and_decide(MODEL)
    assert (review.policy_says, review.decided and review.decided["decision"]) == ("reject",) * 2
    report = read_report(review)
    (reason,) = report.summary["missed_gates"]
    (found,) = report.summary["exported"]
    assert reason.startswith("as int8, accuracy is ")
    assert reason.endswith(f": {-found['better_by']:.4g} lost, above the limit of 0.005")
    assert reason in report.page


def test_a_candidate_that_cannot_be_written_as_onnx_misses_that_gate(
    scene: Scene, tmp_path: Path
) -> None:
    scene.configure({"export": {}})
    save_text_classifier(tmp_path / "lstm", "lstm", {"hidden_size": 16})
    Scene({"lstm": tmp_path / "lstm"}).register("lstm")
    review = request(MODEL)
    assert review.policy_says == "reject"
    summary = read_report(review).summary
    (reason,) = summary["missed_gates"]
    assert reason.startswith("it cannot be exported as int8: the model's architecture cannot be ")
    assert "exported" not in summary
