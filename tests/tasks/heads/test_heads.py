"""What holds for every head: the same bytes again, evidence, and nobody else becomes stale."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.contracts import files, paths, records, registry
from tasks.contracts.params import read_params
from tasks.errors import BadInput, BadSettings, Preempted
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings
from tasks.fingerprint.rows import fingerprints
from tasks.heads._task import HeadTask
from tests.tasks.finetune.conftest import convnet
from tests.tasks.heads.conftest import CORPUS_OF, Finetuned, Splits, run_head

__all__ = ["convnet"]

ROOT = Path(__file__).parents[3]
HEADS = sorted(CORPUS_OF)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_learns_and_its_evidence_says_how_well(
    finetuned: Callable[[str], Finetuned], head: str
) -> None:
    result = finetuned(head)
    metrics, decides = result.metrics, result.metrics["decides"]
    assert json.loads(json.dumps(metrics)) == files.read_json(result.evidence / "metrics.json")
    low, high = metrics["intervals"][decides]
    assert low <= metrics[decides] <= high
    assert set(metrics["against"]) == {"linear", "simple", "twin"}
    assert all(
        one["verdict"] in ("ahead", "level", "behind") for one in metrics["against"].values()
    )
    assert metrics["gain"] == pytest.approx(
        (metrics[decides] - metrics["baselines"]["twin"][decides])
        * (-1 if metrics["less_is_better"] else 1),
        abs=2e-6,
    )
    told = pq.read_table(result.evidence / "predictions.parquet")
    assert told.num_rows == metrics["n_test"]
    assert {"predicted", "twin_predicted", "linear_predicted"} <= set(told.column_names)
    card = (result.evidence / "README.md").read_text()
    assert card.startswith("# small\n\nHead `")
    assert "## Where it is wrong\n\n| record | true | predicted |" in card
    assert (result.evidence / "plots" / "models.png").stat().st_size > 1000
    assert "<table>" in (result.evidence / "README.html").read_text()


@pytest.mark.parametrize("head", HEADS)
def test_a_head_beats_no_knowledge(finetuned: Callable[[str], Finetuned], head: str) -> None:
    history = files.read_json(finetuned(head).model.with_name("history.json"))
    losses = [epoch["loss"] for epoch in history["model"]["epochs"]]
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("head", HEADS)
def test_a_training_that_is_stopped_ends_in_the_same_weights_and_predictions(
    finetuned: Callable[[str], Finetuned],
    backbone: Path,
    causal_backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    head: str,
) -> None:
    whole, below = finetuned(head), causal_backbone if head == "generation" else backbone
    task = registry.load("tasks.heads", head, head).TASK
    validate, epochs = task.validate, []

    def stopped(of: HeadTask) -> dict[str, float]:
        epochs.append(1)
        if len(epochs) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        found: dict[str, float] = validate(of)
        return found

    monkeypatch.setattr(task, "validate", stopped)
    with pytest.raises(Preempted):
        run_head(head, whole.splits, below, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "out" / "model").exists()
    again = run_head(head, whole.splits, below, tmp_path)
    assert "finetune small: goes on from the checkpoint of step" in capsys.readouterr().err
    for one, other in ((whole.model.parent, again.model.parent), (whole.evidence, again.evidence)):
        assert files.sha256_of_folder(one) == files.sha256_of_folder(other)


def test_settings_of_classes_are_refused_for_other_heads() -> None:
    def fault(**settings: Any) -> str:
        with pytest.raises(BadSettings) as caught:
            Settings.parse(settings, "models.x.finetune")
        return str(caught.value)

    assert "'tagger' is unknown" in fault(head="tagger")
    assert "labels, folds is of head: classification alone" in fault(
        head="tagging", labels=5, folds=2
    )
    assert "needs mode: full or lora" in fault(head="regression", mode="frozen")
    assert Settings.parse({"head": "classification"}, "x") == Settings()


CHANGED = {"pooling": "max", "dropout": 0.5, "tokens": 8, "layer_decay": 0.5, "mode": "lora"}
"""Settings that a head might not look at; what a training does with the rest, no head knows."""
REFUSED = {"tagging": {"pooling"}, "generation": {"pooling"}}


@pytest.mark.parametrize("head", HEADS)
def test_a_setting_changes_the_model_or_is_refused(
    corpora: dict[str, Splits], backbone: Path, causal_backbone: Path, tmp_path: Path, head: str
) -> None:
    splits: Splits = {}
    for part in paths.TRAINED_ON:
        few = records.read_table(corpora[CORPUS_OF[head]][part]).slice(0, 24)
        splits[part] = tmp_path / f"{part}.parquet"
        records.write_records(splits[part], few.schema, few.to_batches())

    def weights(**changed: Any) -> str:
        settings = Settings.parse(
            {"head": head, "epochs": 1, "batch_size": 8, "twin": False, **changed}, "x"
        )
        below = causal_backbone if head == "generation" else backbone
        folder = tmp_path / "-".join(["out", *changed])
        finetune.run("small", below, splits, folder, settings, 0, folder / "checkpoints")
        return files.sha256(folder / "model" / "model.safetensors")

    found, refused = {weights()}, REFUSED.get(head, set())
    for name, value in CHANGED.items():
        if name in refused:
            with pytest.raises(BadSettings, match=f"{name} changes nothing with head: {head}"):
                weights(**{name: value})
        else:
            found.add(weights(**{name: value}))
    assert len(found) == 1 + len(CHANGED) - len(refused)


def test_a_head_that_the_modality_does_not_have_is_refused_in_one_line(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    splits: Splits = {"train": images[0], "validation": images[1]}
    with pytest.raises(BadInput, match=r"finetune\.tokens cuts texts, but the backbone .* images"):
        finetune.run(
            "small", convnet, splits, tmp_path / "out", Settings(tokens=64), 0, tmp_path / "c"
        )
    with pytest.raises(BadInput, match=r"finetune\.head: tagging is of texts, but the backbone"):
        finetune.run(
            "small", convnet, splits, tmp_path / "out", Settings(head="tagging"), 0, tmp_path / "c"
        )


def test_a_new_head_leaves_every_row_fresh_and_is_followed_by_its_own(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__")
    )
    params = read_params(ROOT / "params.yaml")
    before = fingerprints(params, tmp_path)
    source = (tmp_path / "tasks/heads/regression.py").read_text()
    (tmp_path / "tasks/heads/count.py").write_text(source.replace('"regression"', '"count"'))
    assert fingerprints(params, tmp_path) == before
    changed = source.replace("** 2", "** 4")
    (tmp_path / "tasks/heads/regression.py").write_text(changed)
    assert fingerprints(params, tmp_path) == before
    del params["models"]["reuters-topics"]["finetune"]["wide"]
    before = fingerprints(params, tmp_path)
    params["models"]["reuters-topics"]["finetune"]["head"] = "regression"
    named = fingerprints(params, tmp_path)
    stale = {name for name in named if named[name] != before[name]}
    assert stale == {"finetune@reuters-topics", "evaluate@reuters-topics"}
    for name in stale:
        assert "tasks.heads.regression " in named[name]
        assert "tasks.heads.tagging" not in named[name]
    assert "tasks.heads.classification " in before["finetune@reuters-topics"]
    assert "tasks.heads" not in before["evaluate@reuters-topics"]
