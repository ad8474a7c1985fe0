"""The settings of ``pretrain``: an objective, an architecture, and how long to train.

The settings of the chosen objective and architecture stand in sections of their names::

    pretrain:
      objective: masked
      architecture: bert
      masked: {tokens: 128}
      bert: {layers: 4}
      training: {epochs: 20}
"""

from typing import Any, Self

from pydantic import Field, create_model

from tasks.contracts import registry
from tasks.contracts import settings as contract
from tasks.training.settings import TrainingSettings

OBJECTIVES = "tasks.objectives"
ARCHITECTURES = "tasks.models.architectures"


class Settings(contract.Settings):
    """What is learnt, by which model, for how long."""

    objective: str = Field(description="an entry of tasks/objectives")
    architecture: str = Field(description="an entry of tasks/models/architectures")
    training: TrainingSettings = TrainingSettings()

    @classmethod
    def parse(cls, raw: Any, where: str) -> Self:
        """Check the section, and within it those of the objective and the architecture it names.

        Raises:
            BadSettings: as for any section; also an unknown objective or architecture.
        """
        if not isinstance(raw, dict):
            return super().parse(raw, where)
        schemas: dict[str, Any] = {}
        for key, package in (("objective", OBJECTIVES), ("architecture", ARCHITECTURES)):
            if isinstance(raw.get(key), str):
                entry = registry.load(package, raw[key], f"params.yaml: {where}.{key}").Settings
                schemas[raw[key]] = (entry, Field(default_factory=entry))
        schema = create_model("PretrainSettings", __base__=cls, **schemas)
        return super(Settings, schema).parse(raw, where)

    def modules(self) -> list[str]:
        """Return the modules of the objective and the architecture."""
        return [f"{OBJECTIVES}.{self.objective}", f"{ARCHITECTURES}.{self.architecture}"]
