"""What counts as a change of code, and for which rows."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tasks.contracts.params import check_params, read_params, stage_settings
from tasks.fingerprint import rows
from tasks.fingerprint.rows import fingerprints

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def default_rows() -> dict[str, str]:
    return fingerprints(read_params(ROOT / "params.yaml"), ROOT)


def modules(text: str) -> set[str]:
    return {line.split()[0] for line in text.splitlines()[1:]}


def test_every_row_starts_with_its_resolved_settings(default_rows: dict[str, str]) -> None:
    first = default_rows["split@reuters"].splitlines()[0]
    assert first.startswith('settings {"test": 0.2, "validation": 0.1')


def test_a_named_library_is_a_line_of_the_rows_that_name_it(default_rows: dict[str, str]) -> None:
    params = read_params(ROOT / "params.yaml")
    params["libraries"] = ["torch"]
    params["models"]["reuters-topics"]["libraries"] = ["peft", "torch", "python"]
    check_params(params)
    named = fingerprints(params, ROOT)
    version = metadata.version("torch").partition("+")[0]
    settings, torch, *code = named["split@digits"].splitlines()
    assert torch == f"library:torch {version}"
    assert [settings, *code] == default_rows["split@digits"].splitlines()
    names = [line.split()[0] for line in named["finetune@reuters-topics"].splitlines()[1:4]]
    assert names == ["library:peft", "library:python", "library:torch"]


def test_the_number_of_threads_counts_where_torch_computes(default_rows: dict[str, str]) -> None:
    params = {**read_params(ROOT / "params.yaml"), "threads": 3}
    check_params(params)
    changed = {
        name for name, text in fingerprints(params, ROOT).items() if text != default_rows[name]
    }
    assert changed == {
        name
        for name in default_rows
        if name.partition("@")[0] in {"pretrain", "finetune", "evaluate"}
    }


def test_memory_and_engine_count_for_no_row(default_rows: dict[str, str]) -> None:
    params = {**read_params(ROOT / "params.yaml"), "memory": 600, "engine": "ray"}
    check_params(params)
    assert fingerprints(params, ROOT) == default_rows


def test_a_row_reaches_its_own_objective_and_architecture_alone(
    default_rows: dict[str, str],
) -> None:
    bert = modules(default_rows["pretrain@reuters-bert"])
    contrastive = modules(default_rows["pretrain@digits-contrastive"])
    assert "tasks.objectives.masked" in bert
    assert "tasks.models.architectures.bert" in bert
    assert "tasks.models.architectures.bert" not in contrastive
    assert "tasks.models.text" not in modules(default_rows["evaluate@digits-few-labels"])
    assert "tasks.models.architectures.convnet" in modules(
        default_rows["finetune@digits-few-labels"]
    )


def test_a_wide_part_is_reached_by_the_rows_that_have_one(default_rows: dict[str, str]) -> None:
    params = read_params(ROOT / "params.yaml")
    finetune = params["models"]["reuters-topics"]["finetune"]
    for wide in (None, {"words": [1, 2]}):
        params["models"]["reuters-topics"]["finetune"] = {**finetune, "wide": wide}
        found = fingerprints(params, ROOT)
        for stage in ("finetune", "evaluate"):
            names = modules(found[f"{stage}@reuters-topics"])
            assert ("tasks.models.wide" in names) == (wide is not None)
            others = f"{stage}@digits-few-labels"
            assert found[others] == default_rows[others]


def test_a_row_of_collect_reaches_its_own_sources_alone(default_rows: dict[str, str]) -> None:
    assert "tasks.collect.sources.wheel" in modules(default_rows["collect@reuters"])
    assert "tasks.collect.sources.wheel" not in modules(default_rows["collect@digits"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(
        ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def fingerprints_of(checkout: Path) -> dict[str, str]:
    code = (
        "import json; from pathlib import Path; from tasks.contracts.params import read_params\n"
        "from tasks.fingerprint.rows import fingerprints\n"
        "print(json.dumps(fingerprints(read_params(), Path.cwd())))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, check=True, capture_output=True, text=True
    )
    result: dict[str, str] = json.loads(found.stdout)
    return result


def changed_rows(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {row for row in before if before[row] != after.get(row)}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_code_that_is_no_python_is_told_in_one_line(checkout: Path) -> None:
    edit(checkout / "tasks/clean/images.py", "import io\n", "import io(\n")
    with pytest.raises(subprocess.CalledProcessError) as error:
        fingerprints_of(checkout)
    told = error.value.stderr.splitlines()[-1]
    assert told.endswith("tasks/clean/images.py, line 4: the code is no Python: mend it")
    assert "BadInput" in told


def test_a_new_objective_changes_no_existing_row(
    checkout: Path, default_rows: dict[str, str]
) -> None:
    shutil.copy(
        checkout / "tasks/objectives/masked.py", checkout / "tasks/objectives/masked_again.py"
    )
    assert changed_rows(default_rows, fingerprints_of(checkout)) == set()


def test_a_changed_architecture_changes_its_own_rows_alone(
    checkout: Path, default_rows: dict[str, str]
) -> None:
    edit(
        checkout / "tasks/models/architectures/bert.py",
        "4 * settings.hidden_size",
        "3 * settings.hidden_size",
    )
    assert changed_rows(default_rows, fingerprints_of(checkout)) == {
        "pretrain@reuters-bert",
        "finetune@reuters-topics",
        "evaluate@reuters-topics",
        "register@reuters-topics",
    }


def test_a_changed_template_changes_the_rows_that_reach_the_module_beside_it(
    checkout: Path, default_rows: dict[str, str]
) -> None:
    assert "tasks/reports/page.html.j2 " in default_rows["evaluate@digits-few-labels"]
    edit(checkout / "tasks/evaluate/card.md.j2", "## Limits", "## What it cannot do")
    changed = changed_rows(default_rows, fingerprints_of(checkout))
    assert changed == {row for row in default_rows if row.startswith("evaluate@")}


def test_a_changed_default_changes_the_rows_that_do_not_set_it(
    checkout: Path, default_rows: dict[str, str]
) -> None:
    edit(checkout / "tasks/split/settings.py", "0.1", "0.11")
    assert changed_rows(default_rows, fingerprints_of(checkout)) == set()
    edit(checkout / "tasks/split/settings.py", "0.2", "0.21")
    assert changed_rows(default_rows, fingerprints_of(checkout)) == {"split@reuters"}


def test_a_new_setting_whose_null_is_neutral_changes_no_row_until_it_is_set(
    checkout: Path, default_rows: dict[str, str]
) -> None:
    settings = checkout / "tasks/split/settings.py"
    edit(settings, "settings import Settings", "settings import NEUTRAL, Settings")
    for extra, changed in (("", {"split@reuters", "split@digits"}), ("NEUTRAL", set())):
        new = f"    limit: int | None = Field(None, json_schema_extra={extra or None})\n"
        edit(settings, "\n    @model_validator", f"{new}\n    @model_validator")
        assert changed_rows(default_rows, fingerprints_of(checkout)) == changed
        if not extra:
            edit(settings, new, "")
    edit(checkout / "params.yaml", "split: {validation: 0.1}", "split: {validation: 0.1, limit: 9}")
    assert changed_rows(default_rows, fingerprints_of(checkout)) == {"split@reuters"}


def test_the_checkpoint_that_a_row_starts_from_is_a_part_of_its_fingerprint(
    checkout: Path,
) -> None:
    edit(
        checkout / "params.yaml",
        "models:  #",
        "  from-hub:\n    corpus: reuters\n    pretrain: {objective: none, architecture: bert, "
        "init: {hub: org/bert}}\n"
        "  from-folder:\n    corpus: reuters\n    pretrain: {objective: none, architecture: bert, "
        "init: {path: data/sources/from-folder/my bert}}\nmodels:  #",
    )
    before = fingerprints_of(checkout)
    assert before["pretrain@from-hub"].endswith("\ndata/sources/from-hub/pin.json missing\n")
    pin, folder = (
        checkout / "data/sources" / name for name in ("from-hub/pin.json", "from-folder/my bert")
    )
    pin.parent.mkdir(parents=True)
    pin.write_text("{}")
    pinned = fingerprints_of(checkout)
    assert changed_rows(before, pinned) == {"pretrain@from-hub"}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert changed_rows(pinned, fingerprints_of(checkout)) == {"pretrain@from-folder"}


def test_a_workspace_with_rows_of_its_own_kind_is_asked_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_rows.py").write_text(
        "def fingerprints(params):\n    return {'clean@a': str(params)}\n\n\n"
        "def stage_settings(params, stage, row):\n    return (stage, row)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DOWNSTREAM_ROWS", "own_rows")
    assert rows.fingerprints({}, tmp_path) == {"clean@a": "{}"}
    assert rows.fingerprint({}, "clean", "a", tmp_path) == "{}"
    assert stage_settings({}, "clean", "a") == ("clean", "a")
    check_params({"no": "schema"})
