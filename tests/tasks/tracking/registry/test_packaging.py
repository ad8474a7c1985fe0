"""The code that goes with a model is whole, renamed, and runs by itself."""

import ast
import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import registry
from tasks.models.classifier import load_classifier
from tasks.tracking.registry.packaging import package_code, reached_modules, requirements
from tests.classifiers import save_text_classifier


def test_the_package_is_named_by_its_content(tmp_path: Path) -> None:
    one, two = (package_code(tmp_path / one, reached_modules("bert")) for one in ("one", "two"))
    assert one.name == two.name
    assert one.name.startswith("downstream_model_")


@pytest.mark.parametrize("architecture", registry.entries("tasks.models.architectures"))
def test_no_import_of_the_package_leads_back_to_tasks(tmp_path: Path, architecture: str) -> None:
    package = package_code(tmp_path, reached_modules(architecture))
    sources = list(package.rglob("*.py"))
    assert len(sources) > 10
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            for name in imported_names(node):
                assert str(name).partition(".")[0] not in ("tasks", "flows"), path
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith("tasks."), path


@pytest.mark.parametrize("architecture", ["bert", "wordvectors"])
def test_the_packaged_code_gives_the_scores_of_our_own(
    tmp_path: Path, text_model: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    if architecture == "wordvectors":
        text_model = tmp_path / "vectors"
        save_text_classifier(text_model, architecture, {"hidden_size": 8}, pooling="weighted")
    package = package_code(tmp_path, reached_modules(architecture))
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(f"{package.name}.models.classifier")
    texts = ["corn", "net profit of the company"]
    ours = load_classifier(text_model).scores(texts)
    assert np.array_equal(module.load_classifier(text_model).scores(texts), ours)
    used = [name for name in sys.modules if name.startswith(package.name)]
    assert f"{package.name}.models.text" in used
    for name in used:
        del sys.modules[name]


@pytest.mark.parametrize("architecture", registry.entries("tasks.models.architectures"))
def test_all_that_the_package_imports_is_required_at_a_version_without_a_local_part(
    architecture: str, tmp_path: Path
) -> None:
    modules = reached_modules(architecture)
    package = package_code(tmp_path, modules)
    lines, distributions = requirements(modules), packages_distributions()
    required = {line.partition("==")[0] for line in lines}
    assert all("==" in line and "+" not in line for line in lines)
    imported = {
        str(name).partition(".")[0]
        for path in package.rglob("*.py")
        for node in run_nodes(ast.parse(path.read_text()))
        for name in imported_names(node)
    }
    assert {"numpy", "torch", "safetensors", "pydantic"} <= imported
    for name in imported - {package.name} - sys.stdlib_module_names:
        assert required & set(distributions[name]), name


def run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from run_nodes(node)


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_scikit_learn_is_required_by_models_with_a_wide_part_alone(tmp_path: Path) -> None:
    for has_wide_part in (False, True):
        modules = reached_modules("bert", has_wide_part=has_wide_part)
        required = {line.partition("==")[0] for line in requirements(modules)}
        package = package_code(tmp_path / str(has_wide_part), modules)
        assert ("scikit-learn" in required) == has_wide_part
        assert (package / "models" / "wide.py").exists() == has_wide_part


def test_a_model_brings_its_own_architecture_and_no_other(tmp_path: Path) -> None:
    package = package_code(tmp_path, reached_modules("convnet"))
    names = {path.stem for path in (package / "models" / "architectures").iterdir()}
    assert names == {"__init__", "convnet"}
    assert not (package / "models" / "text.py").exists()


@pytest.mark.parametrize(("architecture", "needed"), [("convnet", False), ("vit", True)])
def test_an_image_model_needs_transformers_if_its_architecture_is_theirs(
    architecture: str, needed: bool
) -> None:
    lines = requirements(reached_modules(architecture))
    assert any(line.startswith("transformers==") for line in lines) == needed
