"""What a stage is given is what its row says, and ``settings.json`` repeats it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts.stage_run import stage_run, write_settings
from tasks.errors import BadSettings
from tasks.split.settings import Settings

PARAMS: dict[str, Any] = {
    "seed": 7,
    "corpora": {"texts": {"split": {"test": 0.3}, "corpus": "c", "backbone": "b"}},
}


def test_a_stage_gets_seed_settings_and_references_of_its_row_and_writes_them_down(
    tmp_path: Path,
) -> None:
    run = stage_run("split", "texts", PARAMS, Settings, tmp_path)
    assert (run.name, run.row, run.seed, run.output) == ("split@texts", "texts", 7, tmp_path)
    assert run.settings == Settings(test=0.3)
    assert (run.corpus, run.backbone) == ("c", "b")
    write_settings(run)
    assert json.loads((tmp_path / "settings.json").read_text()) == {
        "row": "texts",
        "seed": 7,
        "corpus": "c",
        "backbone": "b",
        "settings": {"validation": 0.1, "test": 0.3},
    }


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({**PARAMS, "seed": "7"}, "seed: expected a whole number, found '7'"),
        ({**PARAMS, "corpora": {"texts": {}}}, r"corpora\.texts\.split is missing; add it"),
        ({**PARAMS, "corpora": {}}, "corpora has no row 'texts'"),
    ],
)
def test_what_is_missing_is_told(params: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=told):
        stage_run("split", "texts", params, Settings, tmp_path)
