"""The whole of params.yaml is checked before anything runs."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts.params import read_params
from tasks.errors import BadSettings
from tasks.params import check_params

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params() -> dict[str, Any]:
    return copy.deepcopy(read_params(ROOT / "params.yaml"))


def test_the_shipped_params_are_good(params: dict[str, Any]) -> None:
    check_params(params)


def put(params: dict[str, Any], path: str, value: object) -> None:
    *parents, key = path.split("/")
    for parent in parents:
        params = params[parent]
    params[key] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sed", 1, "sed: unknown key; allowed: backbones, corpora, models, seed; did you mean"),
        ("seed", "zero", "seed: expected a whole number from 0, found 'zero'"),
        ("seed", True, "seed: expected a whole number from 0, found True"),
        ("models", None, "models: expected rows ({} for none), found None"),
        ("corpora/my.corpus", {}, "corpora: the row name 'my.corpus' is not of a-z, 0-9 and"),
        ("models/reuters-topics/backbone", "reuters-bart",
         "models.reuters-topics.backbone: no row 'reuters-bart' in backbones; allowed: "
         "digits-autoencoder, digits-convnet, reuters-bert; did you mean 'reuters-bert'?"),
        ("models/reuters-topics/backbone", ["reuters-bert"],
         "models.reuters-topics.backbone: no row ['reuters-bert'] in backbones"),
        ("models/reuters-topics/finetun", {}, "models.reuters-topics.finetun: unknown key"),
        ("models/reuters-topics/finetune", {"learning_rat": 1},
         "models.reuters-topics.finetune.learning_rat: unknown key"),
        ("backbones/reuters-bert/pretrain/bert", {"heads": 3},
         "backbones.reuters-bert.pretrain.bert: heads (3) must divide hidden_size (256)"),
        ("backbones/reuters-bert/pretrain/objective", "maskd",
         "backbones.reuters-bert.pretrain.objective: 'maskd' is unknown"),
        ("backbones/reuters-bert/pretrain/convnet", {},
         "backbones.reuters-bert.pretrain.convnet: unknown key"),
        ("backbones/reuters-bert/pretrain/masked", {"probability": 2},
         "backbones.reuters-bert.pretrain.masked.probability: input should be less than 1, "
         "found 2"),
        ("corpora/digits/collect/sources", [{"kind": "sklearm"}],
         "corpora.digits.collect.sources.0.kind"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_key_path(
    params: dict[str, Any], path: str, value: object, message: str
) -> None:
    put(params, path, value)
    with pytest.raises(BadSettings) as error:
        check_params(params)
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "path", ["seed", "models", "corpora/digits/clean", "backbones/reuters-bert/corpus"]
)
def test_a_missing_section_is_named(params: dict[str, Any], path: str) -> None:
    parent: Any = params
    *parents, key = path.split("/")
    for name in parents:
        parent = parent[name]
    del parent[key]
    with pytest.raises(BadSettings, match=f"{path.replace('/', '.')} is missing"):
        check_params(params)


def test_a_backbone_with_a_checkpoint_cannot_share_its_pins_with_a_corpus(
    params: dict[str, Any],
) -> None:
    pretrain = {"objective": "none", "architecture": "bert", "init": {"hub": "org/bert"}}
    row = {"corpus": "reuters", "pretrain": pretrain}
    check_params({**params, "backbones": {**params["backbones"], "from-hub": row}})
    with pytest.raises(BadSettings) as error:
        check_params({**params, "backbones": {**params["backbones"], "reuters": row}})
    assert str(error.value) == (
        "params.yaml: backbones.reuters: a corpus has the same name, and the pins of both would "
        "be data/sources/reuters/pin.json: rename one"
    )
