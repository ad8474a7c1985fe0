"""What a model is bound to stands in ``dvc.lock``."""

from pathlib import Path

import pytest
import yaml

from tasks.contracts import files
from tasks.tracking.registry.bindings import altered, bindings, gate_of

LOCK = {
    "schema": "2.0",
    "stages": {
        "finetune@topics": {
            "deps": [
                {"path": "data/code/finetune/topics.txt", "md5": "c1"},
                {"path": "data/pretrain/bert/model", "md5": "b1.dir"},
                {"path": "data/split/reuters/train.parquet", "md5": "s1"},
                {"path": "data/split/reuters/validation.parquet", "md5": "s2"},
                {"path": "data/validate/reuters/gate.json", "md5": "g1"},
            ],
            "outs": [{"path": "data/finetune/topics/model", "md5": "m1.dir"}],
        },
        "evaluate@topics": {
            "deps": [
                {"path": "data/code/evaluate/topics.txt", "md5": "c2"},
                {"path": "data/split/reuters/test.parquet", "md5": "s3"},
                {"path": "data/split/reuters/train.parquet", "md5": "s1"},
            ],
            "outs": [{"path": "data/evaluate/topics/metrics.json", "md5": "e1"}],
        },
    },
}


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has a ``dvc.lock``."""
    monkeypatch.chdir(tmp_path)
    files.write_text(Path("dvc.lock"), yaml.safe_dump(LOCK))


def test_a_model_is_bound_to_splits_backbone_and_code(locked: None) -> None:
    assert bindings("topics") == {
        "downstream.code.finetune": "c1",
        "downstream.code.evaluate": "c2",
        "downstream.backbone": "bert b1.dir",
        "downstream.split.train": "s1",
        "downstream.split.validation": "s2",
        "downstream.split.test": "s3",
        "downstream.model_md5": "m1.dir",
    }
    assert gate_of("topics") == Path("data/validate/reuters/gate.json")


def test_a_model_that_the_lock_does_not_have_is_bound_to_nothing(locked: None) -> None:
    assert bindings("digits") == {}
    assert gate_of("digits") is None


def test_outputs_that_are_not_as_recorded_are_found(locked: None) -> None:
    metrics, other = Path("data/evaluate/topics/metrics.json"), Path("README.md")
    assert altered("evaluate", "topics", [metrics, other]) == [metrics]
