"""The projects that plans are timed on."""

from pathlib import Path

import pytest
import yaml

from benchmarks.plan_speed import (
    COMMANDS,
    SIZES,
    STAGES_PER_UNIT,
    make_project,
    repeated_params,
    run,
)
from flows.dvc.graph import load_graph
from flows.plan.plan import plan_now
from tasks.contracts.params import check_params


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_as_many_as_make_so_many_stages_and_are_valid(size: int) -> None:
    params = repeated_params(size // STAGES_PER_UNIT)
    counts = {table: len(params[table]) for table in ("corpora", "backbones", "models")}
    assert 4 * counts["corpora"] + counts["backbones"] + 3 * counts["models"] == size
    check_params(yaml.safe_load(yaml.safe_dump(params)))


def test_a_large_project_is_recorded_as_dvc_would_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.plan_speed.SIZES", (0,))
    make_project(tmp_path, STAGES_PER_UNIT)
    monkeypatch.chdir(tmp_path)
    assert plan_now(())[1].unfresh == []
    assert "up to date" in run(tmp_path, COMMANDS["dvc status"])


def test_a_project_has_so_many_stages_and_all_are_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, SIZES[0])
    monkeypatch.chdir(tmp_path)
    graph, plan = plan_now(())
    assert len(graph.planned()) == SIZES[0]
    assert plan.unfresh == []
    assert load_graph().lock.keys() == graph.stages.keys()
