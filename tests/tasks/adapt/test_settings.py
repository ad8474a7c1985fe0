"""The settings of adapt: an objective that goes on from a model, with a section of its own."""

import pickle

import pytest

from tasks.adapt.settings import Settings
from tasks.errors import BadSettings


def parse(**raw: object) -> Settings:
    return Settings.parse({"objective": "masked", **raw}, "adapt")


def test_the_chosen_objective_brings_its_defaults() -> None:
    settings = parse(masked={"tokens": 64})
    assert settings.chosen.tokens == 64
    assert settings.chosen.probability == 0.15
    assert settings.training.batch_size == 32
    assert settings.modules() == ["tasks.objectives.masked"]
    assert pickle.loads(pickle.dumps(settings)).chosen.tokens == 64  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"bert": {}}, r"adapt\.bert: unknown key; allowed: linear_probe, masked, .*training"),
        ({"architecture": "bert"}, r"adapt\.architecture: unknown key"),
        ({"objective": "maskd"}, r"adapt\.objective: 'maskd' is unknown; .*did you mean 'masked'"),
        ({"objective": 3}, r"adapt\.objective: input should be a valid string, found 3"),
        (
            {"objective": "adversarial"},
            r"adapt\.objective: 'adversarial' goes on from no other backbone; set it to one of: "
            r".*causal, classification, .*masked",
        ),
        ({"training": {"epoch": 1}}, r"adapt\.training\.epoch: unknown key"),
    ],
)
def test_a_fault_is_named_by_its_path(raw: dict[str, object], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        parse(**raw)


@pytest.mark.parametrize(
    ("objective", "architecture"),
    [
        ("masked", "bert"),
        ("causal", "gpt2"),
        ("causal", "lstm"),
        ("skipgram", "wordvectors"),
        ("reconstruction", "autoencoder"),
        ("contrastive", "convnet"),
        ("masked_image", "vit"),
        ("boltzmann", "rbm"),
        ("replaced", "bert"),
        ("classification", "convnet"),
        ("classification", "resnet"),
    ],
)
def test_an_objective_fits_the_architectures_that_have_what_it_needs(
    objective: str, architecture: str
) -> None:
    parse(objective=objective).require_fit(architecture, "adapted.a.adapt")
    other = "bert" if architecture != "bert" else "gpt2"
    with pytest.raises(BadSettings, match=rf"'{objective}' cannot train .* is a '{other}'; set"):
        parse(objective=objective).require_fit(other, "adapted.a.adapt")
