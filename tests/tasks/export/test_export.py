"""What is exported was compared with the registered version, and nothing that is worse leaves."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.export import export as exports
from tasks.export.export import export
from tasks.export.network import write_network
from tasks.tracking.registry.version import read_version
from tasks.tracking.store import opened
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

    monkeypatch.setattr(exports, "write_network", write_a_poor_one)
    with pytest.raises(BadInput, match="not exported, since fp32 is behind it: The same label"):
        export(MODEL, None, Path("out"), int8=False)
    assert not Path("out").exists()
    with pytest.raises(BadInput, match="neither a champion nor a candidate"):
        _without_aliases()


def _without_aliases() -> None:
    with opened() as client:
        client.delete_registered_model_alias(MODEL, "candidate")
    export(MODEL, None, Path("out"), int8=False)
