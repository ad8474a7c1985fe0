"""Every link from a version to its sources is looked at, and the broken one is named.

An acceptance is followed from result to result.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.contracts import files, paths
from tasks.contracts.acceptances import LOGS
from tasks.contracts.lock import LOCK, md5_of, read_lock, upstream_of
from tasks.errors import BadInput
from tasks.promotion.lineage import (
    Lineage,
    Link,
    acceptances,
    accepted_upstream,
    lineage,
    of_workspace,
    was_accepted_from,
)
from tasks.stage_process.stage_hash import entry_hash
from tasks.tracking.registry.version import RegisteredVersion
from tests.tasks.promotion.chain import BACKBONE, CORPUS, MODEL, PINS, write_lock

UNTAGGED = RegisteredVersion(MODEL, 1, {}, "a card", "a run")
STAGE = "evaluate@topics"
CHAIN = [
    "register@digits",
    "evaluate@digits",
    "finetune@digits",
    "pretrain@net",
    "validate@numbers",
    "split@numbers",
    "clean@numbers",
    "collect@numbers",
]


def _broken(found: Lineage) -> list[tuple[str, str, str]]:
    return [(link.stage, link.what, link.problem) for link in found.broken]


def test_the_chain_leads_from_the_version_to_the_pins(chain: Path) -> None:
    found = lineage(MODEL)
    assert (found.version, found.aliases) == (1, ["candidate"])
    assert list(dict.fromkeys(link.stage for link in found.links)) == ["version 1", *CHAIN]
    assert found.broken == []
    assert found.pins == {CORPUS: PINS}
    sources = str(paths.sources(CORPUS))
    assert Link("collect@numbers", sources, str(md5_of(Path(sources)))) in found.links
    test_split = Link("version 1", "test.parquet", str(md5_of(paths.split(CORPUS, "test"))))
    assert test_split in found.links


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        (paths.version(MODEL), "register@digits"),
        (paths.pretrained(BACKBONE) / "model.safetensors", "pretrain@net"),
        (paths.gate(CORPUS), "validate@numbers"),
        (paths.split(CORPUS, "test"), "split@numbers"),
        (paths.cleaned(CORPUS), "clean@numbers"),
        (paths.collected(CORPUS), "collect@numbers"),
        (paths.pin(CORPUS), "collect@numbers"),
        (paths.code("finetune", MODEL), "finetune@digits"),
    ],
)
def test_a_file_that_was_altered_is_named(chain: Path, path: Path, stage: str) -> None:
    files.write_text(path, path.read_text() + "\n")
    found = [link for link in lineage(MODEL).broken if link.stage == stage]
    assert [str(path).startswith(link.what) for link in found] == [True]
    assert f"dvc.lock has {found[0].recorded}" in found[0].problem


def test_a_missing_file_comes_with_what_to_do(chain: Path) -> None:
    paths.cleaned(CORPUS).unlink()
    path = "data/clean/numbers/records.parquet"
    problem = f"is missing: `dvc checkout {path}`, or `dvc pull {path}`"
    assert _broken(lineage(MODEL)) == [("clean@numbers", path, problem)]


def test_a_swapped_test_split_is_named_also_if_dvc_has_recorded_it(chain: Path) -> None:
    before = str(md5_of(paths.split(CORPUS, "test")))
    files.write_text(paths.split(CORPUS, "test"), "easier records")
    write_lock()
    now = str(md5_of(paths.split(CORPUS, "test")))
    assert _broken(lineage(MODEL)) == [
        ("version 1", "test.parquet", f"dvc.lock has {now}, the version {before}")
    ]


def test_a_tampered_weight_file_in_the_workspace_is_named(chain: Path) -> None:
    weights = paths.finetuned(MODEL) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    files.write_bytes(weights, bytes(content))
    stage, what, problem = _broken(lineage(MODEL))[0]
    assert (stage, what) == ("version 1", "data/finetune/digits/model")
    assert problem.startswith(f"model.safetensors has the sha256 {files.sha256(weights)[:12]}, the")


def test_a_tampered_weight_file_in_mlflow_is_named(chain: Path) -> None:
    (weights,) = (chain / "mlartifacts").rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes() + b"x")
    ((stage, what, problem),) = _broken(lineage(MODEL))
    assert (stage, what) == ("version 1", "its model in MLflow")
    assert "model.safetensors in MLflow is not the one that was registered" in problem


def test_a_stage_that_read_what_was_made_anew_since_is_named(chain: Path) -> None:
    files.write_text(paths.cleaned(CORPUS), "cleaned otherwise")
    md5 = md5_of(paths.cleaned(CORPUS))
    lock = yaml.safe_load(LOCK.read_text())
    lock["stages"]["clean@numbers"]["outs"][0]["md5"] = md5
    files.write_text(LOCK, yaml.safe_dump(lock))
    problem = f"was made anew by clean@numbers ({md5}): `downstream run split@numbers`"
    assert _broken(lineage(MODEL)) == [
        ("split@numbers", "data/clean/numbers/records.parquet", problem)
    ]


def test_a_stage_that_dvc_lock_does_not_have_is_named(chain: Path) -> None:
    LOCK.unlink()
    broken = _broken(lineage(MODEL))
    problem = "has no such stage: `downstream run register@digits`"
    assert ("register@digits", "dvc.lock", problem) in broken
    assert upstream_of({}, "register@digits") == ["register@digits"]


def test_a_result_that_was_accepted_under_new_code_holds_and_says_who_said_so(
    chain: Path,
) -> None:
    before = read_lock()["evaluate@digits"]
    files.write_text(paths.code("evaluate", MODEL), "tasks.evaluate as it is now\n")
    write_lock()
    ((_, what, _),) = _broken(lineage(MODEL))
    assert what == "the code of evaluate"
    now = read_lock()["evaluate@digits"]
    accepted = {
        "stage": "evaluate@digits",
        "old_hash": entry_hash(before),
        "new_hash": entry_hash(now),
        "time": "2026-11-22T09:00:00+00:00",
        "who": "ann@example.org",
        "reason": "a comment",
    }
    files.write_text(Path("accepted.jsonl"), f"{json.dumps(accepted)}\ntorn")
    found = lineage(MODEL)
    assert found.broken == []
    notes = {link.note for link in found.links if link.note}
    assert notes == {"accepted under new code on 2026-11-22 by ann@example.org: a comment"}
    assert accepted_upstream(MODEL) == [f"evaluate@digits: {note}" for note in notes]


def test_a_model_without_a_candidate_needs_a_version(chain: Path) -> None:
    with pytest.raises(BadInput, match=r"nobody has no candidate in the registry: name a version"):
        lineage("nobody")
    with pytest.raises(BadInput, match=r"digits has no version 7 in the registry: `downstream hi"):
        lineage(MODEL, 7)


def test_a_version_without_the_tags_holds_nowhere(chain: Path) -> None:
    links = list(of_workspace(UNTAGGED, read_lock()))
    assert all(link.problem for link in links)
    assert links[0].problem == (
        "the version has no tag with its files: it was registered by older code; version 1 was "
        "registered from another state: check that out"
    )


def test_without_a_lock_nothing_is_known_of_the_data(chain: Path) -> None:
    Path("dvc.lock").unlink()
    links = {link.what: link.problem for link in of_workspace(UNTAGGED, read_lock())}
    assert links["test.parquet"] == "neither the version nor dvc.lock has it"


def _entry(code: str) -> dict[str, Any]:
    return {
        "cmd": "exec python -m tasks.evaluate topics",
        "deps": [
            {"path": "data/code/evaluate/topics.txt", "hash": "md5", "md5": code, "size": 9},
            {"path": "data/split/reuters/test.parquet", "hash": "md5", "md5": "ab", "size": 9},
        ],
        "outs": [{"path": "data/evaluate/topics/metrics.json", "hash": "md5", "md5": "cd"}],
    }


def _accept(before: str, after: str) -> str:
    hashes = {"old_hash": entry_hash(_entry(before)), "new_hash": entry_hash(_entry(after))}
    about = {"time": "2026-11-22T09:00:00+00:00", "who": "ann", "reason": f"{before} to {after}"}
    return json.dumps({"stage": STAGE, **hashes, **about})


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 1 was accepted as 2, and that as 3; both logs have the second."""
    monkeypatch.chdir(tmp_path)
    first, second = _accept("1", "2"), _accept("2", "3")
    files.write_text(LOGS[0], f'{first}\n{second}\n{{"stage": "torn')
    files.write_text(LOGS[1], f"{second}\n")


def test_acceptances_are_followed_back_to_the_first(logged: None) -> None:
    found = acceptances(STAGE, _entry("3"))
    assert [one["reason"] for one in found] == ["2 to 3", "1 to 2"]
    assert was_accepted_from(STAGE, _entry("3"), "1")
    assert was_accepted_from(STAGE, _entry("3"), "2")


def test_other_code_and_other_data_were_not_accepted(logged: None) -> None:
    assert not was_accepted_from(STAGE, _entry("3"), "0")
    other = _entry("3")
    other["deps"][1]["md5"] = "other records"
    assert acceptances(STAGE, other) == []
    assert not was_accepted_from(STAGE, other, "2")


def test_an_entry_stays_as_it_was(logged: None) -> None:
    entry = _entry("3")
    assert was_accepted_from(STAGE, entry, "2")
    assert entry == _entry("3")
