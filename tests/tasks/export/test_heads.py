"""An exported head gives the answers of the model, to each test record and to odd ones."""

import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.export import predict
from tasks.export.network import write_network
from tasks.heads import _evidence as evidence
from tasks.heads._distribution import facts_of
from tasks.heads._generator import Generator
from tasks.heads._model import HeadModel, load_predictor
from tasks.models.model import load_backbone
from tasks.models.text import TextBackbone
from tests.tasks.heads.conftest import (
    Finetuned,
    Splits,
    backbone,
    causal_backbone,
    corpora,
    finetuned,
    texts_of,
)

__all__ = ["backbone", "causal_backbone", "corpora", "finetuned"]

# Nothing, a special token that somebody has written, a sign that no piece stands for, more than a
# window.
ODD = [
    "",
    "[SEP]",
    "a [MASK] of [SEP] it [CLS]",
    "\u200b \u0e01",
    "It runs large. " * 40,
    "x" * 300,
]


@pytest.fixture(scope="module")
def exported(
    finetuned: Callable[[str], Finetuned], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Write a head's model for ONNX Runtime, once for all tests."""
    root = tmp_path_factory.mktemp("exported")

    def run(head: str) -> Path:
        if not (root / head).exists():
            write_network(finetuned(head).model, root / head)
        return root / head

    return run


def answers_of_both(
    made: Finetuned, written: Path, head: str, odd: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Return what the exported model and the model answer to the test records, and to odd ones."""
    test = evidence.read_test(made.splits["test"], head)
    recorded = evidence.read_predictions(made.evidence / "predictions.parquet", test)
    assert len(recorded) > 20
    predictor = load_predictor(made.model)
    contents = [predictor.model.head.content_of(one) for one in odd]
    mine = predict.load(written)
    assert mine.answers([]) == []
    return mine.answers([*test.contents, *odd]), [*recorded, *predictor.answers(contents)]


def test_a_regression_gives_the_same_values(
    finetuned: Callable[[str], Finetuned], exported: Callable[[str], Path]
) -> None:
    ours, theirs = answers_of_both(
        finetuned("regression"), exported("regression"), "regression", ODD
    )
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_regression_by_a_distribution_gives_its_mean_or_its_median(
    finetuned: Callable[[str], Finetuned], corpora: dict[str, Splits], tmp_path: Path
) -> None:
    below = load_backbone(finetuned("regression").model)
    assert isinstance(below, TextBackbone)
    asked = [*ODD, *texts_of(corpora["reviews"])[:40]]
    for distribution in ("mean", "median"):
        facts = facts_of([1, 2, 2, 4, 5, 5], distribution)
        inner = below.model([str(value) for value in facts["values"]])
        head: Any = inner.module["head"]
        torch.manual_seed(0)
        torch.nn.init.normal_(head[1].weight, std=5)
        with torch.no_grad():  # what texts have in common tells nothing
            head[1].bias.copy_(-inner.logits(inner.inputs(asked).batch(np.arange(20))).mean(0))
        model, written = tmp_path / distribution, tmp_path / f"{distribution}-written"
        HeadModel(below, inner, "regression", facts).save(model)
        write_network(model, written)
        answers = predict.load(written).answers(asked)
        assert answers == pytest.approx(load_predictor(model).answers(asked), abs=1e-3)
        assert len({*answers}) > 1


@pytest.mark.parametrize("head", ["multilabel", "pair"])
def test_classes_of_a_text_or_a_pair_are_the_same_with_their_scores(
    finetuned: Callable[[str], Finetuned], exported: Callable[[str], Path], head: str
) -> None:
    # Each is too long for its window beside another, or alone.
    odd: list[Any] = [(one, other) for one in ODD for other in ODD] if head == "pair" else ODD
    ours, theirs = answers_of_both(finetuned(head), exported(head), head, odd)
    given = "label" if head == "pair" else "labels"
    assert [one[given] for one in ours] == [one[given] for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert [each["label"] for each in one["scores"]] == [
            each["label"] for each in other["scores"]
        ]
        assert [each["score"] for each in one["scores"]] == pytest.approx(
            [each["score"] for each in other["scores"]], abs=1e-5
        )
    assert len({one["scores"][0]["score"] for one in ours}) > 20


def test_responses_are_the_same_token_by_token(
    finetuned: Callable[[str], Finetuned], tmp_path: Path
) -> None:
    """The weights are made random, since one of a few epochs writes nearly the same each time."""
    from safetensors.torch import load_file, save_file

    made, scrambled, written = finetuned("generation"), tmp_path / "model", tmp_path / "written"
    shutil.copytree(made.model, scrambled)
    torch.manual_seed(0)
    weights = load_file(made.model / "model.safetensors")
    moved = {name: value + 0.5 * torch.randn_like(value) for name, value in weights.items()}
    save_file(moved, scrambled / "model.safetensors", metadata={"format": "pt"})
    write_network(scrambled, written)
    theirs, ours = load_predictor(scrambled), predict.load(written)
    assert isinstance(theirs, Generator)
    asked = [*ODD, *(f"{prompt} Who are you?" for prompt in ODD)]
    responses = ours.answers(asked)
    assert responses == theirs.generate(asked)
    assert len({*responses}) > len(asked) // 2
    assert [ours.answers([prompt])[0] for prompt in ODD] == responses[: len(ODD)]
    assert ours.answers(ODD, max_tokens=0) == [""] * len(ODD)
    assert ours.answers([]) == []
    with pytest.raises(ValueError, match="max_tokens is 64, but all are 64 at most"):
        ours.answers(["a"], max_tokens=64)


def test_heads_of_8_bits_run_by_their_own_file_without_torch_and_without_this_project(
    finetuned: Callable[[str], Finetuned], exported: Callable[[str], Path], tmp_path: Path
) -> None:
    arguments = []
    for head in ("multilabel", "pair", "generation"):
        write_network(finetuned(head).model, tmp_path / head, int8=True)
        sizes = [(at / predict.GRAPH).stat().st_size for at in (tmp_path / head, exported(head))]
        assert sizes[0] < sizes[1]
        arguments.append([str(tmp_path / head / "predict.py"), "It fits.", "A dress"])
    without = (
        "import sys, runpy; sys.modules['torch'] = sys.modules['tasks'] = None\n"
        f"for sys.argv in {arguments!r}: runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", without],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = done.stdout.splitlines()
    assert [line.rpartition("\t")[2] for line in shown if "\t" in line] == [
        *("It fits.", "A dress", "It fits. / A dress", "It fits.", "A dress"),
    ]


def test_of_a_pair_with_one_text_the_command_line_says_what_it_takes(
    exported: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = exported("pair") / "predict.py"
    monkeypatch.setattr(sys, "argv", [str(command), "a", "b", "c"])
    with pytest.raises(SystemExit, match="expected two texts for each pair, found 3 texts"):
        runpy.run_path(str(command), run_name="__main__")
