"""The audit log of a registered model, its claims and its heads: whatever MLflow may hold.

``log``: what is read of a log, as the commands about reviews read it. ``registry``: the same
planted in a real store, and the commands' own functions.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import Kind, Wrong

READ = "log.json"
HEADS = Path("heads")
MODEL = "topics"


def plant(folder: Path) -> None:
    """Lay a workspace with a champion, and a candidate that was reviewed."""
    import pytest

    from tasks.tracking.audit.log import read_log
    from tasks.tracking.store import opened
    from tests.tasks.promotion.scene import Scene, enter, make_models

    models = make_models(folder / "models")
    workspace = folder / "workspace"
    workspace.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        patch.setenv("DOWNSTREAM_REVIEWER", "Ann")
        Scene(models).lay_reviewed()
        with opened() as client:
            log = read_log(client, MODEL)
    shutil.rmtree(folder / "models")
    found = {
        "model": log.model,
        "run_id": log.run_id,
        "head": log.head,
        "params": dict(log.params),
        "aliases": dict(log.aliases),
    }
    (folder / READ).write_text(json.dumps(found))


def prepare(_planted: Path) -> None:
    """Import what is used."""
    import mlflow  # noqa: F401
    import sqlalchemy  # noqa: F401

    import flows.cli.registry
    import flows.cli.review  # noqa: F401 - as all of these
    import tasks.promotion.review.decisions
    import tasks.promotion.review.pending
    import tasks.promotion.rollback  # noqa: F401


def _changed(random: Random, params: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a log's run, of which some have changed, and new ones."""
    changed = dict(params)
    for _ in range(random.choice([1, 1, 2, 4])):
        key = random.choice(sorted(changed))
        text = changed[key]
        if random.random() < 0.3:
            text = mutations.mutated_bytes(random, text.encode()).decode("utf-8", "replace")
        else:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = text
            text = mutations.json_text(mutations.mutated(random, value))
        if random.random() < 0.3:
            key = random.choice(
                [
                    "claim.decision.0123456789abcdef",
                    "claim.review.0123456789abcdef",
                    "claim.",
                    "claim.review.",
                    "claim.decision.",
                    "999999",
                    "000000",
                    "applied.000001",
                    f"claim.decision.{key.rpartition('.')[2]}",
                ]
            )
        # Longer ones MLflow does not take, and no database half a surrogate pair.
        changed[key] = text[: random.choice([6_000, 6_000, 500])].encode(errors="replace").decode()
    return changed


def write_log(random: Random, planted: Path, folder: Path) -> None:
    """Write what is read of a log."""
    found = json.loads((planted / READ).read_text())
    found["params"] = _changed(random, found["params"])
    if random.random() < 0.2:
        found["head"] = str(mutations.nasty(random))[:6_000]
    (folder / READ).write_text(json.dumps(found))
    newest = found["head"] or "0"
    heads = f"{found['model']} {newest}\n".encode(errors="replace")
    (folder / HEADS).write_bytes(
        mutations.mutated_bytes(random, heads) if random.random() < 0.4 else heads
    )


def attempt_log() -> None:
    """Read the log in every way that a command does."""
    from flows.cli.registry import _print_history
    from tasks.promotion.review.decisions import outcome
    from tasks.promotion.review.store import reviews_of
    from tasks.promotion.review.subject import champion_since
    from tasks.promotion.rollback import History
    from tasks.tracking.audit.heads import check_and_keep
    from tasks.tracking.audit.log import AuditLog

    log = AuditLog(**json.loads(Path(READ).read_text()))
    problems = log.problems()
    for alias in ("candidate", "champion", "previous"):
        entry = log.last(alias)
        if entry is not None:
            log.is_applied(entry)
    champion_since(log)
    for review in reviews_of(log):
        _short(review.title)
        _short(outcome(review))
    for problem in problems:
        _short(problem)
    _print_history(History(log.model, log.entries, problems, dict(log.aliases), log.newest, {}))
    check_and_keep(HEADS, log)


def _short(text: str) -> None:
    from tasks.plain_text import plain

    shown = plain(text)
    if len(shown.splitlines()) > 5:
        raise Wrong(f"a line for people of {len(shown.splitlines())} lines: {shown[:300]!r}")


def write_registry(random: Random, planted: Path, folder: Path) -> None:
    """Write the workspace, with parameters in its store that nobody of ours has made."""
    shutil.copytree(planted / "workspace", folder / "workspace")
    found = json.loads((planted / READ).read_text())
    changed = _changed(random, found["params"])
    with closing(sqlite3.connect(folder / "workspace" / "mlflow.db")) as store, store:
        for key, text in changed.items():
            store.execute(
                "INSERT OR REPLACE INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [key, text, found["run_id"]],
            )
        if random.random() < 0.2:
            store.execute(
                "UPDATE registered_model_tags SET value = ? WHERE key = 'downstream.audit_head'",
                [str(mutations.nasty(random))[:5_000].encode(errors="replace").decode()],
            )


def attempt_registry() -> None:
    """Do what ``review list``, ``review show`` and ``history --verify`` do."""
    from flows.cli.registry import history
    from flows.cli.review import print_list
    from tasks.promotion.review.pending import pending

    os.chdir("workspace")
    try:
        print_list(pending())
        history(MODEL, verify=True)
    finally:
        os.chdir("..")


LOG = Kind("log", 20, plant, prepare, write_log, attempt_log)
REGISTRY = Kind("registry", 3, plant, prepare, write_registry, attempt_registry)
