"""One word a stage, everywhere: code, dvc.yaml, params.yaml and tests agree."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.contracts.params import ADAPTED, STAGES, STUDENTS, TABLES, read_params, tracked_values
from tasks.contracts.paths import stage_output

ROOT = Path(__file__).parents[1]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def with_a_row_in_every_table() -> dict[str, Any]:
    """Return the shipped ``params.yaml`` with a row in each of the tables that it lacks."""
    params = read_params(ROOT / "params.yaml")
    row = {"backbone": "reuters-bert", "corpus": "reuters", "adapt": {"objective": "masked"}}
    assert not {ADAPTED, STUDENTS} & set(params)
    student = {"teacher": "reuters-topics", "backbone": "reuters-bert", "corpus": "reuters"}
    return {
        **params,
        ADAPTED: {"reuters-further": row},
        STUDENTS: {"reuters-student": {**student, "distill": {}}},
    }


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_the_same_files(stage: str) -> None:
    folder = ROOT / "tasks" / stage
    for name in ("__init__.py", "stage.py", "__main__.py", "settings.py"):
        assert (folder / name).is_file()
    assert len((folder / "__main__.py").read_text().splitlines()) <= 25
    assert (ROOT / "tests" / "tasks" / stage).is_dir()


def test_dvc_runs_these_stages_and_code() -> None:
    assert set(DVC) == {"code", *STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_fans_out_over_the_stages_table(stage: str) -> None:
    assert DVC[stage]["foreach"] == f"${{{TABLES[stage]}}}"
    what = DVC[stage]["do"]
    assert what["cmd"] == f"exec python -m tasks.{stage} ${{key}}"
    assert f"{TABLES[stage]}.${{key}}.{stage}" in what["params"]
    assert f"data/code/{stage}/${{key}}.txt" in what["deps"]
    for kind in ("outs", "metrics", "plots"):
        folder = f"{stage_output(stage, '${key}')}/"
        assert all(path.startswith(folder) for path in what.get(kind, []))


def test_only_evaluate_and_validate_depend_on_the_test_split() -> None:
    readers = {stage for stage in STAGES if "test.parquet" in str(DVC[stage]["do"]["deps"])}
    assert readers == {"validate", "evaluate"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_fingerprint_has_what_dvc_tracks_beside_the_section(stage: str) -> None:
    params = with_a_row_in_every_table()
    row = next(iter(params[TABLES[stage]]))
    tracked = [key.replace("${key}", row) for key in DVC[stage]["do"].get("params", [])]
    tracked.remove(f"{TABLES[stage]}.{row}.{stage}")
    assert list(tracked_values(params, stage, row)) == tracked


def test_every_row_of_params_has_every_section_of_its_table() -> None:
    params = with_a_row_in_every_table()
    for stage, table in TABLES.items():
        assert all(stage in row for row in params[table].values())
