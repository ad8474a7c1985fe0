"""Which results were accepted under new code by ``downstream accept``, and who said so."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.contracts import paths
from tasks.stage_process.stage_hash import entry_hash

LOGS = (Path("accepted.jsonl"), paths.STATE / "accepted.jsonl")


def read_accepted() -> list[dict[str, Any]]:
    """Return what the logs hold, each acceptance once; a line that is torn is left out."""
    found: dict[str, dict[str, Any]] = {}
    for log in LOGS:
        for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
            try:
                found[line] = json.loads(line)
            except ValueError:
                continue
    return list(found.values())


def acceptances(stage: str, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the acceptances that led to an entry of ``dvc.lock``, the newest first."""
    by_result = {(one["stage"], one["new_hash"]): one for one in read_accepted()}
    chain: list[dict[str, Any]] = []
    result = hash_of(entry)
    while (stage, result) in by_result and len(chain) < len(by_result):
        chain.append(by_result[stage, result])
        result = chain[-1]["old_hash"]
    return chain


def was_accepted_from(stage: str, entry: dict[str, Any], code_md5: str) -> bool:
    """Tell whether an entry is the accepted result of the same inputs under other code.

    Args:
        stage: ``<stage>@<row>``.
        entry: what ``dvc.lock`` holds of it.
        code_md5: the code fingerprint's hash before.
    """
    before = copy.deepcopy(entry)
    code = paths.code(*stage.split("@", 1)).as_posix()
    for dep in before["deps"]:
        if dep["path"] == code:
            dep["md5"] = code_md5
    return hash_of(before) in {one["old_hash"] for one in acceptances(stage, entry)}


def hash_of(entry: dict[str, Any]) -> str:
    """Return the stage hash of an entry of ``dvc.lock``, which stays as it is."""
    return entry_hash(copy.deepcopy(entry))


def told(chain: Iterable[dict[str, Any]]) -> str:
    """Say who accepted a result, when and why."""
    return "; ".join(
        f"accepted under new code on {one['time'][:10]} by {one['who']}: {one['reason']}"
        for one in chain
    )
