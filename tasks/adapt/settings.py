"""The settings of ``adapt``: an objective, and how long to go on.

The objective's own settings stand in a section of its name::

    adapt:
      objective: masked
      masked: {tokens: 128}
      training: {epochs: 20}
"""

import inspect
from types import ModuleType
from typing import Any, Self

from pydantic import create_model

from tasks.contracts import registry
from tasks.errors import BadSettings
from tasks.objectives._settings import (
    DECIDED,
    NO_OBJECTIVE,
    OBJECTIVES,
    ObjectiveSettings,
    fits,
    sections,
)

ARCHITECTURES = "tasks.models.architectures"


class Settings(ObjectiveSettings):
    """What is learnt, and for how long, by a model that exists."""

    @classmethod
    def parse(cls, raw: Any, where: str) -> Self:
        """Check the section, and within it that of the objective it names.

        Raises:
            BadSettings: as for any section; also an objective that goes on from no backbone, and
                what the backbone decides.
        """
        if not isinstance(raw, dict):
            return super().parse(raw, where)
        schemas = sections(raw, {"objective": OBJECTIVES}, where)
        for objective in schemas:
            _check_objective(objective, raw.get(objective), where)
        schema = create_model("AdaptSettings", __base__=cls, **schemas)
        return super(Settings, schema).parse(raw, where)

    def require_fit(self, architecture: str, where: str) -> None:
        """Check that the objective can train an architecture.

        Args:
            architecture: that of the backbone.
            where: the key path of these settings, with the file.

        Raises:
            BadSettings: it cannot; the message names those that can.
        """
        module = registry.load(ARCHITECTURES, architecture, where)
        fitting = [name for name in _that_go_on() if fits(_load(name), module)]
        if self.objective not in fitting:
            advice = f"set objective to one of: {', '.join(fitting)}" if fitting else "none can"
            raise BadSettings(
                f"{where}.objective: {self.objective!r} cannot train the backbone, which is a "
                f"{architecture!r}; {advice}"
            )


def _check_objective(name: str, section: Any, where: str) -> None:
    if name not in _that_go_on():
        raise BadSettings(
            f"params.yaml: {where}.objective: {name!r} goes on from no other backbone; set it to "
            f"one of: {', '.join(_that_go_on())}"
        )
    for key in DECIDED if isinstance(section, dict) else ():
        if key in section:
            raise BadSettings(
                f"params.yaml: {where}.{name}.{key}: the backbone decides it: remove it"
            )


def _that_go_on() -> list[str]:
    """Return the objectives that can start from a model, and train it."""
    names = [name for name in registry.entries(OBJECTIVES) if name != NO_OBJECTIVE]
    return [n for n in names if "initial" in inspect.signature(_load(n).prepare).parameters]


def _load(objective: str) -> ModuleType:
    return registry.load(OBJECTIVES, objective, "objective")
