"""An exported model gives the probabilities of the model, in a process without PyTorch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tasks.contracts import registry
from tasks.errors import BadInput
from tasks.export import predict
from tasks.export.network import write_network
from tasks.inputs.traits import ImageTraits
from tasks.models.classifier import load_classifier
from tasks.models.image import ImageModel
from tests.classifiers import add_wide_part, sample_texts, save_text_classifier
from tests.tasks.digit_classifiers import LABELS, digit_png

SIZES = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
# One token, none, more than a batch, more than the longest that is read.
TEXTS = ["profits", "", *sample_texts()[0][:70], "oil prices rose " * 50]


@pytest.mark.parametrize(
    ("architecture", "sizes", "pooling", "is_wide"),
    [
        ("bert", SIZES, "auto", True),
        ("gpt2", SIZES, "last", False),
        ("wordvectors", {"hidden_size": 16}, "weighted", False),
    ],
    ids=["bert and a wide part", "gpt2", "wordvectors"],
)
def test_a_model_of_texts_gives_the_same_probabilities(
    tmp_path: Path, architecture: str, sizes: dict[str, Any], pooling: str, is_wide: bool
) -> None:
    model, written = tmp_path / "model", tmp_path / "written"
    save_text_classifier(model, architecture, sizes, 5, pooling)
    if is_wide:
        add_wide_part(model, sample_texts()[0])
    write_network(model, written)
    scores = load_classifier(model).scores(TEXTS)
    assert np.abs(predict.Classifier(written).scores(TEXTS) - scores).max() < 1e-5
    assert predict.Classifier(written).scores([]).shape == (0, scores.shape[1])


@pytest.mark.parametrize("architecture", ["convnet", "resnet", "vit"])
def test_a_model_of_images_gives_the_same_probabilities(tmp_path: Path, architecture: str) -> None:
    model, written = tmp_path / "model", tmp_path / "written"
    torch.manual_seed(0)
    module: Any = registry.load("tasks.models.architectures", architecture, "architecture")
    ImageModel(module.build(module.Settings(), ImageTraits(1, 8, 8)), LABELS).save(model)
    write_network(model, written)
    images = [digit_png(row) for row in load_digits().data[:70]]
    scores = load_classifier(model).scores(images)
    assert np.abs(predict.Classifier(written).scores(images) - scores).max() < 1e-5


def test_what_is_written_runs_by_its_own_file_without_torch(tmp_path: Path) -> None:
    model, written = tmp_path / "model", tmp_path / "written"
    save_text_classifier(model, "wordvectors", {"hidden_size": 16}, 5)
    write_network(model, written, int8=True)
    scores = load_classifier(model).scores(["profits rose", "oil"])
    without = (
        "import sys, runpy; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", without, str(written / "predict.py"), "profits rose", "oil"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    labels = load_classifier(model).labels
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        labels[index] for index in scores.argmax(axis=1)
    ]


def test_a_recurrent_network_is_refused_in_one_line(tmp_path: Path) -> None:
    save_text_classifier(tmp_path / "model", "lstm", {"hidden_size": 16})
    with pytest.raises(BadInput, match="cannot be written as ONNX for any number of records"):
        write_network(tmp_path / "model", tmp_path / "written")
