"""Which records are wrong, and above all which are not: a false one costs GPU hours."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files
from tasks.contracts.lock import md5_of_text
from tasks.stage_process.identity import (
    IDENTITIES,
    KEPT_PER_STAGE,
    Fault,
    keep_identity,
    wrongly_recorded,
)
from tasks.stage_process.stage_hash import Inputs, entry_hash

NAME = "finetune@m"
CODE = "data/code/finetune/m.txt"
TRAIN = "data/split/a/train.parquet"
OUTPUT = "data/finetune/m/settings.json"
FINGERPRINT = 'settings {}\ntasks.a 1\nrow {"models.m.backbone": "b", "seed": 0}\n'


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    files.write_text(Path(CODE), FINGERPRINT)
    files.write_text(Path(OUTPUT), "{}")


def entry(train: str = "1", output: str = "{}", **values: Any) -> dict[str, Any]:
    """Return a record of ``finetune@m`` in ``dvc.lock``."""
    md5s = {CODE: md5_of_text(values.pop("code", FINGERPRINT)), TRAIN: md5_of_text(train)}
    params = {"seed": 0, "models.m.backbone": "b", **values}
    return {
        "cmd": "exec python -m tasks.finetune m",
        "params": {"params.yaml": params},
        "deps": [{"path": path, "md5": md5} for path, md5 in md5s.items()],
        "outs": [{"path": OUTPUT, "md5": md5_of_text(output)}],
    }


def has_run(record: dict[str, Any], recorded: bool) -> None:
    """Keep the identity of a stage that ended, and what DVC's run cache has of it if recorded."""
    known = entry_hash(record)
    inputs = Inputs(
        stage_hash=known,
        needs_device=True,
        params=record["params"]["params.yaml"],
        files={item["path"]: item["md5"] for item in record["deps"]},
        outputs=(OUTPUT,),
    )
    keep_identity(NAME, inputs, FINGERPRINT)
    if recorded:
        Path("runs", known[:2], known).mkdir(parents=True)


def wrong(record: dict[str, Any]) -> list[Fault]:
    return wrongly_recorded(NAME, record, Path("runs"))


def test_an_input_that_was_edited_before_dvc_looked_again_is_told() -> None:
    has_run(entry("1"), recorded=False)
    assert wrong(entry("2")) == [Fault("data", TRAIN, md5_of_text("1"), md5_of_text("2"))]
    assert wrong(entry("1")) == []


def test_parameters_are_those_of_the_fingerprint_while_it_lies_there() -> None:
    assert wrong(entry(seed=1)) == [Fault("param", "seed", 0, 1)]
    assert wrong(entry()) == []
    files.write_text(Path(CODE), FINGERPRINT.replace("0", "1"))
    assert wrong(entry(seed=1)) == []  # it is another's


def test_two_inputs_that_gave_the_same_bytes_are_both_right() -> None:
    has_run(entry("1"), recorded=True)
    has_run(entry("2"), recorded=False)
    assert wrong(entry("2")) == []
    assert wrong(entry("1")) == []


def test_a_result_of_another_machine_with_the_same_bytes_is_right() -> None:
    has_run(entry("1"), recorded=True)
    assert wrong(entry("2")) == []


def test_another_result_is_right_whatever_ran_here() -> None:
    has_run(entry("1"), recorded=False)
    assert wrong(entry("2", output="other")) == []


def test_a_result_that_was_accepted_under_other_code_is_right() -> None:
    has_run(entry(), recorded=False)
    assert wrong(entry(code="settings {}\ntasks.a 2\n")) == []


def test_without_a_run_cache_nothing_is_claimed() -> None:
    has_run(entry("1"), recorded=False)
    Path("runs").rmdir()
    assert wrong(entry("2")) == []


def test_a_torn_identity_says_nothing() -> None:
    has_run(entry("1"), recorded=False)
    (kept,) = (IDENTITIES / NAME).iterdir()
    kept.write_text(kept.read_text()[:40])
    assert wrong(entry("2")) == []


def test_the_newest_few_are_kept() -> None:
    for number in range(KEPT_PER_STAGE + 2):
        has_run(entry(str(number)), recorded=False)
    assert len(list((IDENTITIES / NAME).iterdir())) == KEPT_PER_STAGE


def test_an_identity_says_what_the_result_was_made_from() -> None:
    has_run(entry(), recorded=False)
    kept = json.loads((IDENTITIES / NAME / f"{entry_hash(entry())}.json").read_text())
    assert kept == {
        "params": {"seed": 0, "models.m.backbone": "b"},
        "files": {CODE: md5_of_text(FINGERPRINT), TRAIN: md5_of_text("1")},
        "code": files.sha256_of_text(FINGERPRINT),
        "snapshot": None,
        "outputs": {OUTPUT: md5_of_text("{}")},
    }
