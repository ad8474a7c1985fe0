"""The code that goes with a model is whole, renamed, and runs by itself."""

import ast
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.models.classifier import load_classifier
from tasks.tracking.registry.packaging import package_code, requirements


def test_the_package_is_named_by_its_content(tmp_path: Path) -> None:
    one, two = package_code(tmp_path / "one"), package_code(tmp_path / "two")
    assert one.name == two.name
    assert one.name.startswith("downstream_model_")


def test_no_import_of_the_package_leads_back_to_tasks(tmp_path: Path) -> None:
    package = package_code(tmp_path)
    sources = list(package.rglob("*.py"))
    assert len(sources) > 10
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert str(name).partition(".")[0] not in ("tasks", "flows"), path
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith("tasks."), path


def test_the_packaged_code_gives_the_scores_of_our_own(
    tmp_path: Path, text_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_code(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(f"{package.name}.models.classifier")
    texts = ["corn", "net profit of the company"]
    ours = load_classifier(text_model).scores(texts)
    assert np.array_equal(module.load_classifier(text_model).scores(texts), ours)
    used = [name for name in sys.modules if name.startswith(package.name)]
    assert f"{package.name}.models.text" in used
    for name in used:
        del sys.modules[name]


def test_requirements_are_pinned_without_a_local_version() -> None:
    for modality, architecture in (("text", "bert"), ("image", "convnet"), ("image", "vit")):
        for line in requirements(modality, architecture):
            name, _, pinned = line.partition("==")
            assert name
            assert pinned
            assert "+" not in pinned


@pytest.mark.parametrize(("architecture", "needed"), [("convnet", False), ("vit", True)])
def test_an_image_model_needs_transformers_if_its_architecture_is_theirs(
    architecture: str, needed: bool
) -> None:
    lines = requirements("image", architecture)
    assert any(line.startswith("transformers==") for line in lines) == needed
