"""What a stage that trains a backbone is told: an objective, its settings, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.contracts import registry
from tasks.contracts import settings as contract
from tasks.training.settings import LongTrainingSettings

if TYPE_CHECKING:
    from types import ModuleType

OBJECTIVES = "tasks.objectives"
NO_OBJECTIVE = "none"
TOKENIZER_DECIDES = ("vocabulary_size", "tokenizer", "tokenizer_sample")
"""Settings of an objective that a tokenizer to start from decides."""
DECIDED = (*TOKENIZER_DECIDES, "embeddings")
"""Those that a model to start from decides."""


class ObjectiveSettings(contract.Settings):
    """The objective, with a section of its name, and the training."""

    objective: str = Field(description="an entry of tasks/objectives")
    training: LongTrainingSettings = LongTrainingSettings()
    linear_probe: int = Field(
        1000,
        ge=0,
        description="labelled records that tell how much the backbone knows of labels; 0: none",
    )

    @property
    def chosen(self) -> Any:
        """The objective's own settings."""
        return getattr(self, self.objective)

    @property
    def reads_labels(self) -> bool:
        """Tell whether the objective learns the labels of its corpus."""
        return getattr(registry.load(OBJECTIVES, self.objective, ""), "READS_LABELS", False)

    def num_devices(self) -> int:
        """Return on how many devices is trained."""
        return self.training.num_devices()

    def takes_fewer_devices(self) -> bool:
        """Tell whether the training goes on on fewer devices, too."""
        return self.training.takes_fewer_devices()

    def num_training_processes(self) -> int:
        """Return in how many processes is trained."""
        return self.training.num_training_processes()

    def modules(self) -> list[str]:
        """Return the module of the objective, what it uses, and what several devices need."""
        own = [f"{OBJECTIVES}.{self.objective}", *self.chosen.modules()]
        is_of_images = hasattr(registry.load(OBJECTIVES, self.objective, ""), "PART")
        if is_of_images and self.training.num_training_processes() > 1:
            own.append("tasks.inputs.pixel_cache")
        return [*own, *self.training.modules()]


def sections(raw: dict[str, Any], packages: dict[str, str], where: str) -> dict[str, Any]:
    """Return a section for each registry entry that is named, as ``create_model`` takes fields.

    Args:
        raw: what ``params.yaml`` holds.
        packages: by key, the registry that it names an entry of.
        where: the key path, for errors.

    Raises:
        BadSettings: there is no such entry.
    """
    fields: dict[str, Any] = {}
    for key, package in packages.items():
        if isinstance(raw.get(key), str):
            entry = registry.load(package, raw[key], f"params.yaml: {where}.{key}")
            fields[raw[key]] = (entry.Settings, Field(default_factory=entry.Settings))
    return fields


def fits(objective: ModuleType, architecture: ModuleType) -> bool:
    """Tell whether an architecture has what an objective needs.

    That is what its states know of the others, for texts, or a part, for images.
    """
    if hasattr(objective, "CONTEXT"):
        return bool(getattr(architecture, "CONTEXT", None) == objective.CONTEXT)
    return objective.PART in getattr(architecture, "PARTS", ())
