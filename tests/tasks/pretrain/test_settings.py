"""The settings of pretrain: sections of the names of what is chosen."""

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
        ({"bert": {"layer": 2}}, r"pretrain\.bert\.layer: unknown key; .*did you mean 'layers'"),
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
