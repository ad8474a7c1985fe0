"""The settings of ``finetune``."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.contracts import registry
from tasks.contracts import settings as contract
from tasks.errors import one_of
from tasks.training.settings import TrainingSettings

HEADS = "tasks.heads"
CLASSIFICATION = "classification"
"""The head of a row that names none."""
OF_CLASSES = (
    "wide", "class_weights", "label_smoothing", "labels", "repeats", "refit", "folds", "solver",
)  # fmt: skip
"""Settings that are of classification alone."""
OF_TOKENS = ("tagging", "generation")
"""Heads that read the state of each token: no pooling makes one of them."""


class LoraSettings(contract.Settings):
    """Low-rank adapters (Hu et al., 2021, https://arxiv.org/abs/2106.09685)."""

    rank: int = Field(8, ge=1, description="of the two matrices whose product is learnt")
    alpha: float = Field(16.0, gt=0, description="the product is scaled by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="share of an adapter's inputs dropped")
    targets: list[str] = Field(
        [],
        description="last names of the linear layers that get one; without any, attention's "
        "queries and values, or all linear layers of a backbone that has no attention",
    )


class WideSettings(contract.Settings):
    """A linear part on n-grams beside the backbone (wide and deep, Cheng et al., 2016).

    Without words and characters, the texts decide: words and pairs of them, or up to three
    characters where words are not told apart by spaces.
    """

    words: list[int] | None = Field(None, description="words of its shortest and longest n-gram")
    characters: list[int] | None = Field(
        None, description="the same in characters, for scripts without spaces between words"
    )
    minimum_records: int = Field(
        2, ge=1, description="n-grams count that stand in so many of the records trained on"
    )
    naive_bayes: bool | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="add complement naive Bayes (Rennie et al., 2003) of the same n-grams",
    )

    def analyzers_and_sizes(self) -> list[tuple[str, int, int]]:
        """Return scikit-learn's word for what n-grams are of, the smallest and largest of each.

        Empty where the texts decide.
        """
        asked = (("word", self.words), ("char", self.characters))
        return [(analyzer, sizes[0], sizes[1]) for analyzer, sizes in asked if sizes is not None]

    @field_validator("words", "characters")
    @classmethod
    def _smallest_and_largest(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and not (len(value) == 2 and 1 <= value[0] <= value[1]):
            raise ValueError("expected the smallest and the largest size, for example [1, 2]")
        return value


class Settings(TrainingSettings):
    """How a head, and perhaps the backbone below it, learn the labels."""

    head: str | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="what is predicted: the name of a file in tasks/heads; null: classification",
    )
    distribution: Literal["median", "mean"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="of head: regression: learn how probable each value is, or each of 32 ranges "
        "of them, and answer with the median or the mean of that; null: learn the value itself, by "
        "its squared error",
    )
    mode: Literal["full", "frozen", "lora"] = Field(
        "full",
        description="full: all weights are trained; frozen: the head alone; lora: the head and "
        "low-rank adapters, which are merged into the weights at the end",
    )
    lora: LoraSettings = Field(LoraSettings(), description="the adapters of mode: lora")
    tokens: int = Field(
        128,
        ge=8,
        description="texts are cut to so many tokens; if not given, to no more than the backbone "
        "was trained on",
    )
    pooling: Literal["auto", "cls", "mean", "max", "last", "weighted"] = Field(
        "auto", description="what the head sees of a text's tokens; auto: the architecture's own"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped")
    twin: bool = Field(True, description="also train the same model from random weights")
    patience: int = Field(3, ge=1, description="epochs without a better validation accuracy")
    wide: WideSettings | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="of texts: a linear part on n-grams, trained beside the backbone; null: none",
    )
    learning_rate: float = Field(3e-4, gt=0, description="the optimizer's, at its highest")
    solver: Literal["adamw", "lbfgs"] = Field(
        "adamw",
        description="how mode: frozen fits the head; lbfgs: to the minimum, with the L2 penalty "
        "that is best on the validation split; learning_rate, sgd, epochs and the like are then "
        "the twin's, whose weights all learn by steps",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer's rate is so much of that of the layer above it"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class counts alike, however many records it has"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target that is spread over all classes"
    )
    labels: int | float = Field(
        0, description="train on so many records of each class, or such a share; 0: all"
    )
    repeats: int = Field(
        1,
        ge=1,
        le=100,
        description="train so many pairs of model and twin, each from another seed and, with "
        "labels, on other few records: what pretraining gains is then told with its variance",
    )
    refit: bool | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: train what is saved on train and validation together, for the epochs "
        "that validation has chosen",
    )
    folds: int = Field(
        0, ge=0, description="cross-validate over so many parts of train and validation; 0: do not"
    )

    def modules(self) -> list[str]:
        """Return what is only used with some of these settings."""
        used = {
            f"{HEADS}.{self.head or CLASSIFICATION}": True,
            f"{HEADS}._evidence": self.head is not None,
            f"{HEADS}._distribution": self.distribution is not None,
            "tasks.finetune.lora": self.mode == "lora",
            "tasks.finetune.frozen": self.mode == "frozen",
            "tasks.finetune.logistic": self.solver == "lbfgs",
            "tasks.finetune.weighted": self.pooling == "weighted",
            "tasks.finetune.layer_decay": self.layer_decay < 1,
            "tasks.finetune.folds": self.folds > 0 or bool(self.refit),
            "tasks.finetune.refit": bool(self.refit),
            "tasks.finetune.wide": self.wide is not None,
            "tasks.models.wide": self.wide is not None,
        }
        return [*super().modules(), *(module for module, is_used in used.items() if is_used)]

    @field_validator("head")
    @classmethod
    def _is_a_head(cls, value: str | None) -> str | None:
        if value is not None and value not in registry.entries(HEADS):
            raise ValueError(f"{value!r} is unknown; {one_of(value, registry.entries(HEADS))}")
        return None if value == CLASSIFICATION else value

    @field_validator("labels", mode="plain")
    @classmethod
    def _a_number_or_a_share(cls, value: Any) -> int | float:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if is_number or (isinstance(value, float) and 0 < value < 1):
            return value
        raise ValueError("expected a whole number from 0 (all), or a share between 0 and 1")

    @field_validator("folds")
    @classmethod
    def _something_is_left_to_train_on(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold leaves nothing to train on: expected 0 (none), or 2 or more")
        return value

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.head is not None:
            self._refuse_what_is_of_classes()
        if self.distribution is not None and self.head != "regression":
            raise ValueError("distribution is of head: regression alone: drop it")
        if self.refit and self.labels:
            raise ValueError(
                "refit would train on all labels of the validation split, and labels asks for few: "
                "drop one of the two"
            )
        if self.repeats > 1 and not self.twin:
            raise ValueError("repeats are of model and twin: leave twin: true, or drop repeats")
        if self.solver == "lbfgs" and (self.mode != "frozen" or self.devices > 1):
            raise ValueError("solver: lbfgs needs mode: frozen, on one device")
        if self.solver == "lbfgs" and self.sgd is not None and not self.twin:
            raise ValueError("sgd changes nothing with solver: lbfgs and no twin: drop it")
        if self.mode == "frozen" and self.layer_decay < 1:
            raise ValueError("layer_decay changes nothing in mode: frozen: drop one of the two")
        if self.mode != "lora" and self.lora != LoraSettings():
            raise ValueError(
                f"lora changes nothing in mode: {self.mode}: set mode: lora, or drop it"
            )
        return self

    def _refuse_what_is_of_classes(self) -> None:
        asked = [
            name
            for name in OF_CLASSES
            if getattr(self, name) != type(self).model_fields[name].get_default()
        ]
        if asked:
            raise ValueError(f"{', '.join(asked)} is of head: classification alone: drop it")
        if self.mode == "frozen" or self.pooling == "weighted":
            raise ValueError(
                f"head: {self.head} needs mode: full or lora, and a pooling that is not weighted"
            )
        if self.head in OF_TOKENS and self.pooling != "auto":
            raise ValueError(
                f"pooling changes nothing with head: {self.head}, which reads each token: drop it"
            )
