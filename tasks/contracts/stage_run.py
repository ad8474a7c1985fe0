"""What a stage is given: it is code that every result follows from, and hashed as such.

How a stage's process starts, waits and hands over (``tasks.stage_process``) reaches no result and
is not hashed. What can reach one is made here: the seed, the references and the settings that a
stage gets, and ``settings.json``, which is an output.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.contracts import files
from tasks.contracts.params import TABLES, row_of
from tasks.contracts.settings import Settings
from tasks.errors import BadSettings

REFERENCES = ("corpus", "backbone", "teacher")


@dataclass(frozen=True)
class StageRun:
    """What a stage is given."""

    name: str
    row: str
    seed: int
    settings: Any
    """The stage's own, checked ``Settings``."""
    references: dict[str, str]
    """The row's ``corpus``, ``backbone`` and ``teacher``, where it names them."""
    output: Path
    """A staging folder; it becomes ``data/<stage>/<row>/`` when the stage ends."""
    checkpoints: Path = Path()
    """Where a training with these inputs keeps its checkpoints; not made yet."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Metrics for MLflow; the stage may fill them."""
    about: dict[str, Any] = field(default_factory=dict)
    """What MLflow is told of the run from its beginning: ``live_run(**stage.about)``."""

    @property
    def corpus(self) -> str:
        """The corpus that the row names."""
        return self.references["corpus"]

    @property
    def backbone(self) -> str:
        """The backbone that the row names."""
        return self.references["backbone"]

    @property
    def teacher(self) -> str:
        """The model that the row names to learn from."""
        return self.references["teacher"]


def stage_run(
    stage: str, row: str, params: dict[str, Any], settings_type: type[Settings], output: Path
) -> StageRun:
    """Return what ``<stage>@<row>`` is given.

    Args:
        stage: its name.
        row: a row of its table.
        params: the content of ``params.yaml``.
        settings_type: the stage's own ``Settings``.
        output: the folder that it writes into.

    Raises:
        BadSettings: the row, its section or the seed is missing, or not what the schema allows.
    """
    table = TABLES[stage]
    values = row_of(params, table, row)
    if stage not in values:
        raise BadSettings(
            f"params.yaml: {table}.{row}.{stage} is missing; add it, or {{}} for the defaults"
        )
    seed = params.get("seed")
    if not isinstance(seed, int):
        raise BadSettings(f"params.yaml: seed: expected a whole number, found {seed!r}")
    return StageRun(
        name=f"{stage}@{row}",
        row=row,
        seed=seed,
        settings=settings_type.parse(values[stage], f"{table}.{row}.{stage}"),
        references={key: values[key] for key in REFERENCES if key in values},
        output=output,
    )


def write_settings(run: StageRun) -> None:
    """Write ``settings.json``: what the result was made with."""
    settings = run.settings.model_dump(mode="json")
    resolved = {"row": run.row, "seed": run.seed, **run.references, "settings": settings}
    files.write_json(run.output / "settings.json", resolved)
