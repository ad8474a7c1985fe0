"""What is saved is trained on train and validation, for the epochs that validation chose."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.finetune import stage
from tasks.finetune.settings import Settings
from tests.tasks.finetune.test_stage import accuracy

SETTINGS = {"epochs": 4, "batch_size": 10, "learning_rate": 3e-3, "patience": 2}


def finetuned(
    backbone: Path, splits: dict[Part, Path], output: Path, **changes: Any
) -> dict[str, Any]:
    settings = Settings.parse({**SETTINGS, **changes}, "finetune")
    checkpoints = output.parent / f"{output.name}-checkpoints"
    return stage.run("small", backbone, splits, output, settings, 0, checkpoints)


def test_model_and_twin_learn_both_splits_for_the_chosen_epochs(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path
) -> None:
    history = finetuned(convnet, few_images, tmp_path / "refit", refit=True)
    plain = finetuned(convnet, few_images, tmp_path / "plain")
    for part in ("model", "twin"):
        told = {key: value for key, value in history[part].items() if key != "refit"}
        assert told == plain[part]
        best = plain[part]["best_epoch"]
        assert len(history[part]["refit"]["training_loss"]) == best
        assert history[part]["refit"]["records"] == 160
        checkpoints = tmp_path / "refit-checkpoints" / f"{part}-refit"
        assert (checkpoints / f"step-{16 * best:012}.json").exists()
    names = [name for path in few_images.values() for name in pq.read_table(path)["id"].to_pylist()]
    assert pq.read_table(tmp_path / "refit" / "labels.parquet")["id"].to_pylist() == names
    assert pq.read_table(tmp_path / "plain" / "labels.parquet")["id"].to_pylist() == names[:120]
    sums = {files.sha256_of_folder(tmp_path / name / "model") for name in ("refit", "plain")}
    assert len(sums) == 2
    assert accuracy(tmp_path / "refit" / "model", few_images["validation"]) > 0.8


def test_it_goes_with_a_wide_part_and_repeats_to_the_byte(
    bert: Path, few_texts: dict[Part, Path], tmp_path: Path
) -> None:
    changes = {"epochs": 1, "refit": True, "wide": {"words": [1, 1]}, "twin": False, "mode": "lora"}
    for name in ("one", "two"):
        finetuned(bert, few_texts, tmp_path / name, **changes)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    # The wide part has learnt the validation texts, too.
    assert accuracy(tmp_path / "one" / "model", few_texts["validation"]) > 0.95
