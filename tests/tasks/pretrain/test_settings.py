"""The settings of pretrain: sections of the names of what is chosen."""

import pickle
from pathlib import Path

import pytest

from tasks.errors import BadSettings
from tasks.pretrain.settings import Settings


def parse(**raw: object) -> Settings:
    return Settings.parse({"objective": "masked", "architecture": "bert", **raw}, "pretrain")


def test_the_chosen_entries_bring_their_defaults() -> None:
    dumped = parse(bert={"layers": 2}).model_dump(mode="json")
    assert dumped["bert"]["layers"] == 2
    assert dumped["bert"]["hidden_size"] == 256
    assert dumped["masked"]["next_sentence"] is True
    assert dumped["training"]["batch_size"] == 32


def test_the_modules_of_a_row_are_those_it_names() -> None:
    assert parse().modules() == ["tasks.objectives.masked", "tasks.models.architectures.bert"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"convnet": {}}, r"pretrain\.convnet: unknown key"),
        (
            {"training": {"epochs": 2, "max_tokens": 5}},
            r"pretrain\.training: epochs and max_tokens each say when to end: keep one",
        ),
        (
            {"training": {"keep": "last"}},
            r"pretrain\.training: keep chooses among weights .*: set validate_every",
        ),
        (
            {"training": {"elastic": True}},
            r"pretrain\.training: elastic is of several ranks, and devices is 1: raise devices",
        ),
        (
            {"training": {"sharded": True, "devices": 2, "compile": True}},
            r"pretrain\.training: sharded goes with neither compile nor elastic: drop one",
        ),
        (
            {"training": {"nodes": 40}},
            r"pretrain\.training: batch_size \(32\) is smaller than nodes times devices \(40\)",
        ),
        (
            {"training": {"restarts": 2}},
            r"pretrain\.training: restarts is of several ranks, and devices is 1: drop it",
        ),
        ({"bert": {"layer": 2}}, r"pretrain\.bert\.layer: unknown key; .*did you mean 'layers'"),
        (
            {"init": {"wheel": "x"}},
            r"pretrain\.init: expected a mapping with one of path, hub, package, found \{'wheel",
        ),
        (
            {"init": {"path": "data/sources/a", "hub": "b"}},
            r"pretrain\.init: expected a mapping with one of path, hub, package",
        ),
        (
            {"init": {"hub": "a/b", "version": "1"}},
            r"pretrain\.init\.version: unknown key; allowed: hub, only, revision",
        ),
        (
            {"init": {"path": "data/pretrain/other/model"}},
            r"pretrain\.init\.path: expected a folder in data/sources/<backbone>/, where DVC sees",
        ),
        (
            {"init": {"path": "data/sources/../pretrain"}},
            r"pretrain\.init\.path: expected a folder in data/sources/<backbone>/",
        ),
        (
            {"init": {"hub": "a/b"}, "bert": {"layers": 2}},
            r"pretrain\.bert: the checkpoint decides it: remove it",
        ),
        (
            {"init": {"hub": "a/b"}, "masked": {"vocabulary_size": 500}},
            r"pretrain\.masked\.vocabulary_size: the checkpoint decides it: remove it",
        ),
        (
            {"init": {"hub": "a/b"}, "masked": {"embeddings": "cooccurrence"}},
            r"pretrain\.masked\.embeddings: the checkpoint decides it: remove it",
        ),
        ({"objective": "none"}, r"the objective 'none' takes a checkpoint as it is: add init"),
        (
            {"objective": "none", "init": {"hub": "a/b"}, "training": {"epochs": 1}},
            r"pretrain\.training: the objective 'none' trains nothing: remove it",
        ),
        (
            {"objective": "adversarial", "init": {"hub": "a/b"}},
            r"pretrain\.init: the objective 'adversarial' starts from random weights alone",
        ),
        (
            {"objective": "classification", "init": {"hub": "a/b"}},
            r"pretrain: the objective 'classification' cannot train the architecture 'bert'",
        ),
        (
            {"objective": "causal", "architecture": "lstm", "init": {"hub": "a/b"}},
            r"pretrain\.init: there are no checkpoints of 'lstm' to start from: remove init, or "
            r"set architecture to one of: bert, gpt2, vit$",
        ),
        (
            {"architecture": "brt", "init": {"hub": "a/b"}},
            r"pretrain\.architecture: 'brt' is unknown; .*did you mean 'bert'",
        ),
        (
            {"init": {"hub": "a/b", "only": "weights"}},
            r"pretrain\.init\.only: input should be 'tokenizer', found 'weights'",
        ),
        (
            {"init": {"hub": "a/b", "only": "tokenizer"}, "masked": {"vocabulary_size": 500}},
            r"pretrain\.masked\.vocabulary_size: the tokenizer of init decides it: remove it",
        ),
        (
            {
                "init": {"hub": "a/b"},
                "objective": "causal",
                "causal": {"tokenizer": "bytes"},
                "architecture": "gpt2",
            },
            r"pretrain\.causal\.tokenizer: the checkpoint decides it: remove it",
        ),
        *(
            (
                {"init": {"hub": "a/b", "only": "tokenizer"}, "objective": name},
                rf"pretrain\.init\.only: the objective '{name}' trains no new model with a",
            )
            for name in ("none", "cooccurrence", "classification", "adversarial")
        ),
        ({"objective": 3}, r"pretrain\.objective: input should be a valid string, found 3"),
        (
            {"architecture": "brt"},
            r"pretrain\.architecture: 'brt' is unknown; .*did you mean 'bert'",
        ),
    ],
)
def test_a_fault_is_named_by_its_path(raw: dict[str, object], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        parse(**raw)


def test_what_a_row_starts_from_is_read_by_its_fingerprint() -> None:
    local = parse(init={"path": "data/sources/row/bert"})
    assert local.reads("row") == [Path("data/sources/row/bert")]
    assert parse(init={"hub": "a/b"}).reads("row") == [Path("data/sources/row/pin.json")]
    assert parse().reads("row") == []


def test_the_sizes_of_a_checkpoint_are_no_settings() -> None:
    dumped = parse(init={"hub": "a/b"}).model_dump(mode="json")
    assert dumped["init"] == {"hub": "a/b", "revision": "main", "only": None}
    assert "bert" not in dumped


def test_the_sizes_of_a_model_for_a_tokenizer_are_settings() -> None:
    settings = parse(init={"hub": "a/b", "only": "tokenizer"}, bert={"layers": 2})
    assert settings.bert.layers == 2
    assert {"tasks.pretrain.init", "tasks.objectives._fresh"} <= set(settings.modules())
    again = pickle.loads(pickle.dumps(settings))  # noqa: S301 - made above
    assert again.model_dump() == settings.model_dump()


def test_pickled_settings_still_know_which_keys_were_given() -> None:
    settings = parse(init={"hub": "a/b"}, masked={"tokens": 64})
    again = pickle.loads(pickle.dumps(settings))  # noqa: S301 - made one line above
    assert again.model_dump() == settings.model_dump()
    assert again.masked.model_fields_set == {"tokens"}
    assert again.init == settings.init


def test_an_end_in_steps_or_tokens_takes_the_place_of_epochs() -> None:
    ends: dict[str, int] = {"epochs": 3, "max_steps": 70, "max_tokens": 1200}
    found = {
        name: parse(training={name: value}).training.num_steps(50, 1000)
        for name, value in ends.items()
    }
    assert found == {"epochs": 150, "max_steps": 70, "max_tokens": 60}
