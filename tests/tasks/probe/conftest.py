"""A small workspace whose rows are probed, and copies of the code to edit."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import paths
from tasks.probe.workspace import Subject

ROOT = Path(__file__).parents[3]
PARAMS: dict[str, Any] = {
    "seed": 0,
    "corpora": {},
    "backbones": {
        "digits-small": {
            "corpus": "digits",
            "pretrain": {
                "objective": "reconstruction",
                "architecture": "autoencoder",
                "training": {"epochs": 20},
            },
        },
        "digits-long": {
            "corpus": "digits",
            "pretrain": {
                "objective": "reconstruction",
                "architecture": "autoencoder",
                "training": {"max_tokens": 10_000_000, "validate_every": 5000},
            },
        },
        "texts-small": {
            "corpus": "texts",
            "pretrain": {
                "objective": "masked",
                "architecture": "bert",
                "masked": {"tokens": 48, "vocabulary_size": 600},
                "bert": {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64},
            },
        },
        "texts-bytes": {
            "corpus": "texts",
            "pretrain": {
                "objective": "causal",
                "architecture": "lstm",
                "causal": {"tokens": 48, "tokenizer": "bytes"},
                "lstm": {"hidden_size": 16},
            },
        },
    },
    "adapted": {
        "digits-further": {
            "backbone": "digits-small",
            "corpus": "digits",
            "adapt": {"objective": "reconstruction", "training": {"epochs": 20}},
        },
    },
    "models": {
        "digits-label": {
            "backbone": "digits-small",
            "corpus": "digits",
            "finetune": {"epochs": 20},
            "evaluate": {},
        }
    },
}


@pytest.fixture(scope="session")
def workspace(
    texts: tuple[Path, Path], images: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Splits of texts and of images, where a workspace has them."""
    root = tmp_path_factory.mktemp("probed")
    for corpus, splits in (("texts", texts), ("digits", images)):
        for part, source in zip(paths.TRAINED_ON, splits, strict=True):
            target = root / paths.split(corpus, part)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    shutil.copy(root / paths.split("digits", "validation"), root / paths.split("digits", "test"))
    return root


@pytest.fixture
def code(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the code, with one text of one file replaced by another."""

    def copy(file: str = "", old: str = "", new: str = "") -> Path:
        target = tmp_path / "edited" / "tasks"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / "tasks", target, ignore=shutil.ignore_patterns("__pycache__"))
        if file:
            text = (target / file).read_text()
            assert old in text, f"{file} does not hold {old!r}"
            (target / file).write_text(text.replace(old, new))
        return target

    return copy


def subject(stage: str, row: str, root: Path) -> Subject:
    return Subject(stage, row, PARAMS, root)
