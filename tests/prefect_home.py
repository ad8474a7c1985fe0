"""Prefect's database, made once: a new one goes through all of Prefect's migrations, for 12 s."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

DATABASE = "prefect.db"


def lay_prefect_home(home: Path) -> None:
    """Give a future ``PREFECT_HOME`` a database that has all tables and no content."""
    if (home / DATABASE).exists():
        return
    name = f"downstream-tests-{os.getuid()}-prefect-{version('prefect')}.db"
    template = Path(tempfile.gettempdir()) / name
    with FileLock(f"{template}.lock"):
        if not template.exists():
            _make(template)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, home / DATABASE)


def _make(template: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [Path(sys.executable).with_name("prefect"), "server", "database", "upgrade", "-y"],
            env={**os.environ, "PREFECT_HOME": home, "PREFECT_API_URL": ""},
            check=True,
            capture_output=True,
        )
        unfinished = template.with_suffix(".tmp")
        with (
            closing(sqlite3.connect(Path(home) / DATABASE)) as made,
            closing(sqlite3.connect(unfinished)) as copy,
        ):
            made.backup(copy)  # with what still lies in its write-ahead log
    unfinished.replace(template)
