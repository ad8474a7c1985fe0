"""A workspace that an earlier version of this project has made, laid under this checkout's code."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.workspace import ROOT, Workspace, lay_code

ARCHIVES = ROOT / "tests" / "data" / "workspaces"
# Where MLflow's tables hold the absolute place of an artifact.
PLACES = [
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
]
ARTIFACTS = "/mlartifacts/"


def facts_of(commit: str) -> dict[str, Any]:
    """Return what was true of the workspace with the code that made it."""
    facts: dict[str, Any] = json.loads((ARCHIVES / commit / "facts.json").read_text("utf-8"))
    return facts


def lay_earlier_workspace(commit: str, root: Path) -> Workspace:
    """Lay this checkout's code, and the parameters, results and registry of an earlier commit."""
    root.mkdir(parents=True)
    lay_code(root)
    with tarfile.open(ARCHIVES / commit / "workspace.tar.xz") as packed:
        # "tar", not "data": DVC's cache files stay read-only, by which it knows them unchanged.
        packed.extractall(root, filter="tar")
    _move_artifacts(root)
    workspace = Workspace(root)
    # As whoever upgrades has it: the results are in the last commit, which has a name.
    person = ["-c", "user.name=Max", "-c", "user.email=max@example.org"]
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "Results"]):
        done = workspace.run("git", *person, *command)
        assert done.returncode == 0, done.stderr
    return workspace


def _move_artifacts(root: Path) -> None:
    """Replace the beginning of every artifact's URI, which MLflow keeps absolute."""
    after = root.resolve().as_uri()
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        for before in {uri.rpartition(ARTIFACTS)[0] for (uri,) in rows if ARTIFACTS in uri}:
            for table, column in PLACES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                    f" WHERE substr({column}, 1, ?) = ?",
                    [after, len(before) + 1, len(before) + 1, f"{before}/"],
                )
