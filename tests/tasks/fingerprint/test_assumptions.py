"""What the rules of the fingerprint take for granted holds in this repository's code."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest

from tasks import errors
from tasks.contracts.params import STAGES
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.fingerprint.modules import (
    DYNAMIC_IMPORTS,
    NOT_HASHED,
    OPTIONAL,
    Code,
    not_hashed,
    possible_hashes,
)
from tasks.fingerprint.rows import ALWAYS
from tasks.fingerprint.settings_schema import FOR_FINGERPRINTS
from tasks.fingerprint.syntax_hash import ERRORS
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.split.settings import Settings as SplitSettings
from tasks.validate.settings import Settings as ValidateSettings
from tests.tasks.finetune.conftest import convnet, few_images

__all__ = ["convnet", "few_images"]

ROOT = Path(__file__).parents[3]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.joinpath("tasks").rglob("*.py"))
}
REGISTRIES = (
    "tasks.heads.",
    "tasks.objectives.",
    "tasks.models.architectures.",
    "tasks.collect.sources.",
)
REACHED = Code(ROOT).reachable(
    [
        *(f"tasks.{stage}.__main__" for stage in STAGES),
        *(module for module in MODULES if module.startswith(REGISTRIES)),
        *ALWAYS,
        *OPTIONAL,
    ]
)
"""What any row can reach, whatever it names."""
TREES = {module: ast.parse(MODULES[module].read_text(encoding="utf-8")) for module in REACHED}


def test_every_list_gives_reasons_for_modules_that_there_are() -> None:
    for known in (NOT_HASHED, DYNAMIC_IMPORTS, OPTIONAL):
        assert all(known.values())
        assert set(known) <= MODULES.keys()
    assert not_hashed("tasks.tracking.runs.runs")
    assert not not_hashed("tasks.clean.settings")
    assert not not_hashed("tasks.errors_of_mine")


def test_no_import_of_the_repository_is_missed() -> None:
    graph = grimp.build_graph("tasks", exclude_type_checking_imports=True, cache_dir=None)
    code = Code(ROOT)
    for module in REACHED:
        hashed = {
            name
            for name in graph.find_modules_directly_imported_by(module)
            if not not_hashed(name) and name not in OPTIONAL
        }
        assert hashed <= {*code.reachable([module])}, module


def test_nothing_looks_at_what_is_not_hashed() -> None:
    """Docstrings, annotations, source texts."""
    refused = {
        "__doc__", "__annotations__", "getdoc", "getsource", "getsourcelines", "_getframe",
        "get_type_hints", "get_annotations", "singledispatch", "validate_call", "co_varnames",
        "f_locals", "lineno", "__code__",
    }  # fmt: skip
    found = [(module, name) for module, name in names_in(TREES) if name in refused]
    assert found == []


def names_in(trees: dict[str, ast.Module]) -> Iterator[tuple[str, str]]:
    for module, tree in trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                    yield module, name


def test_which_error_is_derived_from_which_never_changes_what_is_caught() -> None:
    named = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in named if kind.__module__ == errors.__name__]
    own = [kind for kind in kinds if kind is not errors.DownstreamError]
    assert len(own) > 8
    for kind in own:
        assert kind.__bases__ == (errors.DownstreamError,)
        assert set(vars(kind)) <= {
            "__module__",
            "__doc__",
            "__static_attributes__",
            "__firstlineno__",
        }
    assert errors.DownstreamError.__bases__ == (Exception,)


TEXT_OF_AN_ERROR = {
    ("tasks.training.launcher", "error"): "the text of a rank's error, which is raised again",
    ("tasks.training.launcher", "lost"): "what a rank raised, which is raised again",
    ("tasks.training.launcher", "here"): "what a rank raised, which is raised again",
    ("tasks.training.launcher", "stopped"): "why another node has ended, for an error",
    ("tasks.training.launcher", "failure"): "which rank was lost, for a line and another error",
    ("tasks.training.loop", "error"): "what torch says, by which the error is chosen",
    ("tasks.remote.hub", "error"): "the status of an answer, by which the error is chosen",
    ("tasks.remote.web", "error"): "what a thread has failed with, raised where it is waited for",
    ("tasks.models.initial.published", "error"): "its text on one line, which another error has",
    ("tasks.collect.sources.hub", "error"): "its cause, whose text another error has",
    ("tasks.contracts.images", "error"): "its text on one line, which another error has",
    ("tasks.collect.sources._parquet", "error"): "its text on one line, which another error has",
}
"""Where a caught error is used for more than another error's text, a line, its kind or number."""


def test_the_text_of_an_error_reaches_no_output() -> None:
    found = set()
    for module, tree in TREES.items():
        for handler in ast.walk(tree):
            if isinstance(handler, ast.ExceptHandler) and handler.name:
                for statement in handler.body:
                    if uses(statement, handler.name):
                        found.add((module, handler.name))
    assert found == TEXT_OF_AN_ERROR.keys()


def uses(node: ast.AST, name: str) -> bool:
    """Tell whether code uses an error otherwise than to tell it."""
    if isinstance(node, ast.Raise):
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
        return False
    if isinstance(node, ast.Name) and node.id == name:
        return True
    return any(uses(child, name) for child in ast.iter_child_nodes(node))


SETTINGS_FROM_ELSEWHERE = {
    "tasks.models.architectures.rbm",
    "tasks.models.image",
    "tasks.models.initial.own",
    "tasks.models.text_layers",
    "tasks.models.initial.published",
}
"""They read a model's ``config.json``; there the schema is hashed (``rows.MODELS``)."""


def test_settings_are_made_of_what_a_row_says_alone() -> None:
    """Else a default would reach an output without being in the fingerprint as a value."""
    found = set()
    for module, tree in TREES.items():
        if module.endswith((".settings", "._settings")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and makes_settings(node.func):
                found.add(module)
    assert found == SETTINGS_FROM_ELSEWHERE | {"tasks.contracts.stage_run"}


def makes_settings(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        text = ast.unparse(function.value)
        is_settings = text.lower().endswith(("settings", "schema", "settings_type"))
        if function.attr in ("parse", "model_validate", "model_construct") and is_settings:
            return True
        return function.attr == "Settings"
    name = function.id if isinstance(function, ast.Name) else ""
    return name.endswith("Settings") and name != "BadSettings"


def test_no_stage_calls_what_only_fingerprints_are_made_with() -> None:
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if not module.endswith("settings") and isinstance(node, ast.Attribute):
                assert node.attr not in FOR_FINGERPRINTS - {"modules"}, module
                if node.attr == "modules":
                    assert "settings" not in ast.unparse(node.value), module


def test_the_errors_whose_text_is_not_hashed_have_no_other_content() -> None:
    for name in ERRORS:
        error = getattr(__builtins__, name, None) or vars(sys.modules["builtins"])[name]
        assert vars(error("text")) == {}


BYTES = {"objective": "causal", "architecture": "lstm", "causal": {"tokenizer": "bytes"}}


def test_an_optional_module_is_only_imported_where_it_is_used() -> None:
    for module, tree in TREES.items():
        at_import = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            imported = {
                *([alias.name for alias in node.names] if isinstance(node, ast.Import) else []),
                *([f"{node.module}"] if isinstance(node, ast.ImportFrom) else []),
            }
            if imported & OPTIONAL.keys() and module not in OPTIONAL:
                assert id(node) not in at_import, module


@pytest.mark.parametrize(
    ("settings", "raw", "module"),
    [
        (SplitSettings, {"group_by": "author"}, "tasks.split.groups"),
        (SplitSettings, {"group_by": "author"}, "tasks.split.apart"),
        (SplitSettings, {"by": "sent"}, "tasks.split.dates"),
        (SplitSettings, {"stratify": True}, "tasks.split.classes"),
        (SplitSettings, {"near_duplicates": {}}, "tasks.split.near"),
        (SplitSettings, {"near_duplicates": {}}, "tasks.split.apart"),
        (ValidateSettings, {"near_duplicates": {}}, "tasks.validate.near"),
        (ValidateSettings, {"drift": {}}, "tasks.corpora.profile"),
        (ValidateSettings, {"languages": {"expected": ["en"]}}, "tasks.validate.languages"),
        (FinetuneSettings, {"mode": "lora"}, "tasks.finetune.lora"),
        (
            FinetuneSettings,
            {"head": "regression", "distribution": "median"},
            "tasks.heads._distribution",
        ),
        (FinetuneSettings, {"pooling": "weighted"}, "tasks.finetune.weighted"),
        (FinetuneSettings, {"mode": "frozen", "solver": "lbfgs"}, "tasks.finetune.logistic"),
        (FinetuneSettings, {"layer_decay": 0.9}, "tasks.finetune.layer_decay"),
        (FinetuneSettings, {"folds": 2}, "tasks.finetune.folds"),
        (FinetuneSettings, {"mode": "frozen"}, "tasks.finetune.frozen"),
        (FinetuneSettings, {"refit": True}, "tasks.finetune.refit"),
        (FinetuneSettings, {"refit": True}, "tasks.finetune.folds"),
        (FinetuneSettings, {"wide": {"words": [1, 2]}}, "tasks.finetune.wide"),
        (FinetuneSettings, {"wide": {"words": [1, 2]}}, "tasks.models.wide"),
        (FinetuneSettings, {"devices": 2}, "tasks.training.launcher"),
        (
            PretrainSettings,
            {"training": {"devices": 2}},
            "tasks.training.launcher",
        ),
        (
            PretrainSettings,
            {"training": {"devices": 2, "elastic": True}},
            "tasks.training.spread.elastic",
        ),
        (
            PretrainSettings,
            {
                "objective": "reconstruction",
                "architecture": "autoencoder",
                "training": {"devices": 2},
            },
            "tasks.inputs.pixel_cache",
        ),
        *(
            (PretrainSettings, {"training": {"devices": 2, "sharded": True}}, module)
            for module in (
                "tasks.training.spread.shards",
                "tasks.training.spread.shard_checkpoints",
            )
        ),
        (
            PretrainSettings,
            {"training": {"nodes": 2}},
            "tasks.training.spread.nodes",
        ),
        (
            PretrainSettings,
            {"training": {"recompute": True}},
            "tasks.objectives._recompute",
        ),
        (
            PretrainSettings,
            {"training": {"validate_every": 100}},
            "tasks.training.watch",
        ),
        (
            PretrainSettings,
            {"masked": {"embeddings": "cooccurrence"}},
            "tasks.objectives.cooccurrence",
        ),
        (
            PretrainSettings,
            {**BYTES, "causal": {"fused_loss": True}},
            "tasks.objectives._fused_loss",
        ),
        *(
            (PretrainSettings, BYTES, module)
            for module in ("tasks.inputs.byte_pairs", "tasks.objectives._fresh")
        ),
        (
            PretrainSettings,
            {"init": {"path": "data/sources/bert/model"}},
            "tasks.pretrain.init",
        ),
        (
            PretrainSettings,
            {"init": {"path": "data/sources/bert/model", "only": "tokenizer"}},
            "tasks.objectives._fresh",
        ),
    ],
)
def test_settings_name_each_optional_module_where_it_is_used(
    settings: Any, raw: dict[str, Any], module: str
) -> None:
    own: dict[str, Any] = {}
    if settings is PretrainSettings:
        own = {"objective": "masked", "architecture": "bert"}
    assert module in settings.parse({**own, **raw}, "row").modules()
    assert not set(settings.parse(own, "row").modules()) & OPTIONAL.keys()


RUN = """
import json, sys
from pathlib import Path
from tasks.finetune import stage
from tasks.finetune.settings import Settings
import tasks.finetune.__main__
settings = Settings.parse(json.loads(sys.argv[4]), "finetune")
splits = {"train": Path(sys.argv[2]), "validation": Path(sys.argv[3])}
stage.run("row", Path(sys.argv[1]), splits, Path("out"), settings, 0, Path("checkpoints"))
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "tasks")))
"""


MADE_BY = ("tasks.finetune", "tasks.inputs", "tasks.models", "tasks.objectives", "tasks.training")


@pytest.mark.parametrize(
    "raw", [{}, {"mode": "lora", "folds": 2, "layer_decay": 0.9}], ids=["without", "with"]
)
def test_a_training_loads_the_modules_of_its_fingerprint_and_no_others(
    raw: dict[str, Any],
    convnet: Path,
    few_images: dict[str, Path],
    tmp_path: Path,
) -> None:
    given = {"epochs": 1, "twin": False, **raw}
    settings = FinetuneSettings.parse(given, "finetune")
    named = [*settings.modules(), "tasks.models.architectures.convnet"]
    roots = ["tasks.finetune.__main__", "tasks.contracts.stage_run", *named]
    done = subprocess.run(
        [sys.executable, "-c", RUN, convnet, *few_images.values(), json.dumps(given)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    # What is not hashed brings more, which no result follows from.
    loaded = {name for name in json.loads(done.stdout.splitlines()[-1]) if name.startswith(MADE_BY)}
    assert loaded <= {*Code(ROOT).reachable(roots)}
    assert loaded & OPTIONAL.keys() == set(settings.modules()) & OPTIONAL.keys()


def test_the_hash_of_every_module_is_found_by_its_text_alone() -> None:
    code = Code(ROOT)
    for module in REACHED:
        known = possible_hashes(MODULES[module].read_text(encoding="utf-8"))
        assert {code.hash_of(module), code.hash_of(module, whole=True)} <= known, module


def test_every_stage_can_be_followed() -> None:
    code = Code(ROOT)
    for stage in STAGES:
        assert f"tasks.{stage}.stage" in code.reachable([f"tasks.{stage}.__main__"])
