"""A short run of a row: the same bytes each time, and others where code has another effect."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.contracts import paths
from tasks.errors import StageFailed
from tasks.probe.probe import PROBES, Probe, probe, short_run, tree_of
from tests.tasks.probe.conftest import ROOT, subject

Code = Callable[..., Path]


@pytest.fixture(scope="session")
def of_digits(workspace: Path) -> Probe:
    """The probe of a backbone of images with the code as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        return probe(subject("pretrain", "digits-small", workspace), ROOT / "tasks", {})


def test_a_probe_gives_the_same_bytes_again(
    workspace: Path, of_digits: Probe, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    kept = list((workspace / PROBES / "pretrain@digits-small").glob("*.json"))
    edited = code("training/loop.py", "import annotations\n", "import annotations\n# A comment.\n")
    again = probe(subject("pretrain", "digits-small", workspace), edited, {})
    assert again.files == of_digits.files
    assert again.digest == of_digits.digest
    assert len(list(kept[0].parent.glob("*.json"))) == len(kept) + 1
    assert {"model/model.safetensors", "metrics.json"} <= of_digits.files.keys()


def test_it_passes_the_whole_life_of_a_training(of_digits: Probe) -> None:
    loop = (ROOT / "tasks/training/loop.py").read_text().splitlines()
    lines = {line for line, *_ in of_digits.executed["tasks/training/loop.py"]}
    passed = (
        "raise Preempted(",
        "self._meter.load_state_dict(kept",
        "self._losses.append(mean)",
        "batches = self._batches(maker)",
        "return self._losses",
    )
    for text in passed:
        assert {number for number, line in enumerate(loop, 1) if text in line} & lines, text
    # The batches are made in a thread.
    assert any("self._task.batch(" in loop[line - 1] for line in lines)


def test_of_a_long_training_it_is_stopped_between_two_looks_and_ends_in_an_epoch(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    row = subject("pretrain", "digits-long", workspace)
    result = short_run(row, ROOT / "tasks")
    executed = {file: {line for line, *_ in lines} for file, lines in result["executed"].items()}
    for file, text in (
        ("training/loop.py", "raise Preempted("),
        ("training/loop.py", "self._watch.load_state_dict(kept"),
        ("training/watch.py", "weights[name].copy_(value)"),
    ):
        lines = (ROOT / "tasks" / file).read_text().splitlines()
        places = {number for number, line in enumerate(lines, 1) if text in line}
        assert places & executed[f"tasks/{file}"], text
    training = row.settings["training"]
    assert row.size.interrupt_at < training["max_steps"] < 3 * 17
    assert 0 < training["validate_every"] < row.size.interrupt_at


def test_what_is_known_is_not_run_again(
    workspace: Path, of_digits: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    folder = workspace / PROBES / "pretrain@digits-small"
    for path in folder.glob("*.json"):
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "files": {"said": "before"}}))
    again = probe(subject("pretrain", "digits-small", workspace), ROOT / "tasks", {})
    assert again.files == {"said": "before"}
    for path in folder.glob("*.json"):
        path.unlink()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("training/optimizers.py", "BETAS = (0.9, 0.98)", "BETAS = (0.9, 0.981)"),
        ("training/loop.py", "weights[name].copy_(value)", "weights[name].copy_(value * 1.01)"),
    ],
    ids=["an optimizer's constant", "only after a resume"],
)
def test_code_with_another_effect_gives_other_bytes(
    workspace: Path,
    of_digits: Probe,
    code: Code,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
) -> None:
    monkeypatch.chdir(workspace)
    made = probe(subject("pretrain", "digits-small", workspace), code(file, old, new), {})
    assert made.files["model/model.safetensors"] != of_digits.files["model/model.safetensors"]


def test_a_tokenizer_that_reads_a_sample_is_probed_on_less_than_all_texts(
    workspace: Path, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    row = subject("pretrain", "texts-bytes", workspace)
    before = short_run(row, ROOT / "tasks")["files"]
    old, new = "np.minimum(ends, most_bytes)", "np.minimum(ends, most_bytes // 2)"
    after = short_run(row, code("inputs/byte_pairs.py", old, new))["files"]
    assert before["model/tokenizer.json"] != after["model/tokenizer.json"]


def test_a_short_run_that_fails_is_told_by_its_last_line(
    workspace: Path, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    edited = code("pretrain/stage.py", "    initial = None\n", "    raise ValueError('broken')\n")
    with pytest.raises(StageFailed, match="its short run failed: ValueError: broken"):
        probe(subject("pretrain", "digits-small", workspace), edited, {})
    assert not (workspace / PROBES / "work" / "pretrain@digits-small").exists()


def test_the_hash_of_a_tree_follows_what_lies_in_it(code: Code) -> None:
    before = tree_of(code())
    after = tree_of(code("progress.py", "def say", "def say_it"))
    assert {name for name in before if before[name] != after[name]} == {"progress.py"}
    assert not any("__pycache__" in name for name in before)


def test_finetune_and_evaluate_are_probed_with_what_was_made_before_them(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    for stage, row in (("pretrain", "digits-small"), ("finetune", "digits-label")):
        made = short_run(subject(stage, row, workspace), ROOT / "tasks", Path("data", stage, row))
    assert {"model/model.safetensors", "twin/model.safetensors", "labels.parquet"} <= set(
        made["files"]
    )
    evaluated = probe(subject("evaluate", "digits-label", workspace), ROOT / "tasks", {})
    assert {"metrics.json", "predictions.parquet", "README.md"} <= set(evaluated.files)
    assert "tasks/evaluate/card.py" in evaluated.executed


def test_a_backbone_that_goes_on_from_another_is_probed_like_one_that_starts(
    workspace: Path, of_digits: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    kept = workspace / paths.stage_output("pretrain", "digits-small")
    short_run(subject("pretrain", "digits-small", workspace), ROOT / "tasks", kept)
    runs = [
        short_run(subject("adapt", "digits-further", workspace), ROOT / "tasks") for _ in range(2)
    ]
    assert runs[0]["files"] == runs[1]["files"]
    assert runs[0]["files"].keys() == of_digits.files.keys()
    assert runs[0]["files"]["metrics.json"] != of_digits.files["metrics.json"]
    assert "tasks/models/initial/own.py" in runs[0]["executed"]
