"""The import contracts of ``pyproject.toml`` refuse what they are there to refuse."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "tasks/models/pooling.py": ("from tasks.evaluate import stage", "Imports point one way"),
    "tasks/split/stage.py": ("import torch", "Data stages never import torch"),
    "flows/plan/forecast.py": (
        "from dvc.repo import Repo",
        "DVC is touched in flows.dvc and tasks.stage_process alone",
    ),
    "flows/cli/app.py": (
        "import prefect",
        "Prefect is touched in flows.orchestration and flows.servers alone",
    ),
    "tasks/promotion/gates.py": (
        "def gate():\n    import mlflow",
        "MLflow is touched in tasks.tracking alone",
    ),
    "tasks/clean/stage.py": ("import flows", "Stages never import Prefect"),
}
"""By file, an import that must not be, and the contract that it breaks."""


def test_a_forbidden_import_breaks_its_contract(tmp_path: Path) -> None:
    for package in ("flows", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, (statement, _) in FORBIDDEN.items():
        with (tmp_path / file).open("a", encoding="utf-8") as source:
            source.write(f"\n{statement}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    for file, (_, contract) in FORBIDDEN.items():
        module = file.removesuffix(".py").replace("/", ".")
        assert any(line.startswith(contract) for line in verdicts), contract
        assert f"{module} -> " in done.stdout, module


REGISTRIES = (
    "tasks/collect/sources", "tasks/heads", "tasks/models/architectures", "tasks/objectives",
)  # fmt: skip
ROOMS = [
    folder
    for package in ("flows", "tasks")
    for folder in sorted(path.parent for path in (ROOT / package).rglob("__init__.py"))
]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_a_room_names_its_files_and_has_about_ten(room: Path) -> None:
    in_every_stage = {"__init__", "__main__", "stage", "settings"}
    files = {path.stem for path in room.glob("*.py")} - in_every_stage
    if room.relative_to(ROOT).as_posix() in REGISTRIES:
        return  # its files are the keys of params.yaml
    text = (room / "__init__.py").read_text(encoding="utf-8")
    assert not {name for name in files if f"``{name}" not in text and f"`{name}" not in text}
    assert len(files) <= 12
