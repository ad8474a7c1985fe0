"""A version's files are those that were registered, or they are refused by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.contracts import files, paths
from tasks.contracts.lock import md5_of
from tasks.errors import BadInput, Unreachable
from tasks.promotion.versions import download_evidence, download_model
from tasks.tracking.registry.registry import reconcile
from tasks.tracking.registry.version import read_version
from tasks.tracking.store import opened
from tests.tasks.promotion.chain import BACKBONE, CORPUS, MODEL, write_lock


def test_the_tags_name_all_that_a_version_is_bound_to(chain: Path) -> None:
    with opened() as client:
        tags = read_version(client, MODEL, 1).tags
    model, evidence = paths.finetuned(MODEL), paths.stage_output("evaluate", MODEL)
    expected = {
        "content_hash": files.sha256_of_folder(model),
        "weights_sha256": files.sha256(model / "model.safetensors"),
        "model_md5": md5_of(model),
        **{f"split.{part}": md5_of(paths.split(CORPUS, part)) for part in paths.PARTS},
        "backbone": f"{BACKBONE} {md5_of(paths.pretrained(BACKBONE))}",
        "predictions_sha256": files.sha256(evidence / "predictions.parquet"),
        "metrics_sha256": files.sha256(evidence / "metrics.json"),
        "code.finetune": md5_of(paths.code("finetune", MODEL)),
        "code.evaluate": md5_of(paths.code("evaluate", MODEL)),
        "validation": "passed",
        "gate": "passed",
    }
    assert {name: tags.get(f"downstream.{name}") for name in expected} == expected
    assert "torch" in tags["downstream.libraries"]


def test_model_and_evidence_come_as_they_were_registered(chain: Path, tmp_path: Path) -> None:
    with opened() as client:
        model = download_model(client, read_version(client, MODEL, 1), tmp_path)
        evidence = download_evidence(client, read_version(client, MODEL, 1), tmp_path)
        assert download_model(client, read_version(client, MODEL, 1), tmp_path) == model
    assert (model, evidence) == (tmp_path / "model", tmp_path / "evaluation")
    assert files.sha256_of_folder(model) == files.sha256_of_folder(paths.finetuned(MODEL))
    assert sorted(path.name for path in evidence.iterdir()) == [
        "README.html",
        "README.md",
        "gate.json",
        "metrics.json",
        "predictions.parquet",
    ]
    before = paths.stage_output("evaluate", MODEL) / "predictions.parquet"
    assert (evidence / before.name).read_bytes() == before.read_bytes()


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.safetensors", _append, "model.safetensors in MLflow is not the one that was reg"),
        ("model.safetensors", Path.unlink, "model.safetensors is missing from what MLflow keeps"),
        ("downstream.json", _append, "downstream.json in MLflow is not the one that was registe"),
        ("predictions.parquet", _append, "predictions.parquet in MLflow is not the one that was"),
        ("metrics.json", Path.unlink, "metrics.json is missing from what MLflow keeps of it"),
        ("README.html", _append, "README.html in MLflow is not the one that was registered"),
    ],
)
def test_a_file_that_was_altered_in_mlflow_is_refused_by_name(
    chain: Path, tmp_path: Path, name: str, change: Callable[[Path], None], message: str
) -> None:
    (path,) = (chain / "mlartifacts").rglob(name)
    change(path)
    download = download_model if name in ("model.safetensors", "downstream.json") else None
    with (
        opened() as client,
        pytest.raises(BadInput, match=rf"digits version 1: {message}"),
    ):
        (download or download_evidence)(client, read_version(client, MODEL, 1), tmp_path)


def test_a_file_that_was_added_to_the_model_is_refused(chain: Path, tmp_path: Path) -> None:
    (path,) = (chain / "mlartifacts").rglob("downstream.json")
    (path.parent / "adapter.json").write_text("{}")
    with (
        opened() as client,
        pytest.raises(BadInput, match=r"digits version 1: adapter\.json in MLflow was not regist"),
    ):
        download_model(client, read_version(client, MODEL, 1), tmp_path)


def test_an_unknown_version_and_lost_files_are_told_apart(chain: Path, tmp_path: Path) -> None:
    with opened() as client:
        with pytest.raises(BadInput, match=r"digits has no version 2 in the registry: `downstre"):
            read_version(client, MODEL, 2)
        shutil.rmtree(chain / "mlartifacts")
        with pytest.raises(Unreachable, match=r"digits version 1: MLflow does not give its files"):
            download_model(client, read_version(client, MODEL, 1), tmp_path)


def test_a_model_that_was_evaluated_again_keeps_its_version_and_gets_the_new_evidence(
    chain: Path, tmp_path: Path
) -> None:
    path = paths.stage_output("evaluate", MODEL) / "predictions.parquet"
    with opened() as client:
        old_run = read_version(client, MODEL, 1).tags["downstream.evidence_run"]
    files.write_text(paths.split(CORPUS, "test"), "other test records")
    files.write_text(path, "other predictions")
    write_lock()
    assert reconcile([MODEL]) == {MODEL: 1}
    with opened() as client:
        version = read_version(client, MODEL, 1)
        tags = version.tags
        assert tags["downstream.split.test"] == md5_of(paths.split(CORPUS, "test"))
        evidence = download_evidence(client, version, tmp_path)
        assert evidence.joinpath(path.name).read_text() == "other predictions"
        # What was reviewed before is still there.
        kept = Path(client.download_artifacts(old_run, f"evaluation/{path.name}"))
    assert kept.read_text() == "the content of predictions.parquet"
    assert tags["downstream.evidence_run"] != old_run


def test_evidence_that_dvc_has_not_recorded_is_not_published(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = paths.stage_output("evaluate", MODEL) / "predictions.parquet"
    before = files.sha256(path)
    files.write_text(path, "better predictions")
    assert reconcile([MODEL]) == {MODEL: 1}
    assert (
        f"digits: {path} is not what dvc.lock has recorded, so it is not published: "
        "`downstream run evaluate@digits`"
    ) in capsys.readouterr().err
    with opened() as client:
        assert read_version(client, MODEL, 1).tags["downstream.predictions_sha256"] == before
