"""The real commands ``python -m tasks.<stage> ROW`` in a small workspace.

After a refusal nothing below ``data/`` has changed and no work is left; after success each output
is whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

from benchmarks.fuzz import mutations, sources
from benchmarks.fuzz.cases import LONGEST_SECONDS, LONGEST_TEXT, MOST_LINES, Kind, Refused, Wrong

ROW = "texts"
PARAMS = """\
seed: 0
corpora:
  texts:
    collect: {sources: [{kind: files, path: 'a.*'}]}
    clean: {}
    split: {validation: 0.2, test: 0.2}
    validate: {minimum_records_per_class: 0, maximum_class_drift: 1.0}
backbones: {}
models: {}
"""
CODE = "code"
STAGES = ("collect", "clean", "split", "validate")
FORMATS = ("csv", "jsonl", "parquet")
ERROR = "error: "


def plant(folder: Path) -> None:
    """Lay a workspace whose data stages have run."""
    from tests.workspace import lay_code

    folder = folder / "workspace"
    folder.mkdir()
    lay_code(folder)
    (folder / "params.yaml").write_text(PARAMS)
    place = folder / "data" / "sources" / ROW
    place.mkdir(parents=True)
    (place / "pin.json").write_text("{}\n")
    (place / "a.csv").write_bytes(sources.table("csv", sources.rows()))
    os.chdir(folder)
    for stage in (CODE, *STAGES):
        done = _run(stage, None)
        if done.returncode:
            raise AssertionError(done.stderr)


def prepare(planted: Path) -> None:
    """Import what writes the files."""
    sources.prepare(planted)


def write(random: Random, planted: Path, folder: Path) -> None:
    """Write the workspace with a source, the parameters or the pins changed."""
    shutil.copytree(planted / "workspace", folder / "workspace", symlinks=True)
    workspace = folder / "workspace"
    place = workspace / "data" / "sources" / ROW
    what = random.choice(["source", "source", "source", "params", "pin"])
    if what == "params":
        changed = mutations.mutated_bytes(random, PARAMS.encode())
        (workspace / "params.yaml").write_bytes(changed)
    elif what == "pin":
        (place / "pin.json").write_bytes(mutations.mutated_bytes(random, b'{"a": {"b": "c"}}\n'))
    else:
        (place / "a.csv").unlink()
        form = random.choice(FORMATS)
        content = sources.table(form, sources.rows())
        (place / f"a.{form}").write_bytes(mutations.mutated_bytes(random, content))


def attempt() -> None:
    """Run stage after stage until one refuses."""
    os.chdir("workspace")
    try:
        for stage in (CODE, *STAGES):
            _attempt_stage(stage)
    except subprocess.TimeoutExpired:
        raise Wrong(f"{stage} still ran after {LONGEST_SECONDS:.0f} s") from None
    finally:
        os.chdir("..")


def _attempt_stage(stage: str) -> None:
    before = _contents()
    done = _run(stage)
    after = _contents()
    output = f"data/{stage}/"
    others = {name for name in before.keys() | after.keys() if not name.startswith(output)}
    changed = sorted(name for name in others if before.get(name) != after.get(name))
    if changed:
        raise Wrong(f"{stage} has changed {', '.join(changed[:5])}")
    work = sorted(path for path in Path(".downstream/work").glob("*/*") if "lock" not in path.name)
    if work:
        raise Wrong(f"{stage} has left {', '.join(map(str, work[:5]))}")
    if done.returncode == 0:
        _require_whole(stage)
        return
    if before != after:
        raise Wrong(f"{stage} was refused, and has changed its output")
    told = done.stderr[done.stderr.rfind(ERROR) :] if ERROR in done.stderr else ""
    lines = told.strip().splitlines()
    if "Traceback" in done.stderr + done.stdout or done.returncode != 1 or not lines:
        raise Wrong(f"{stage} ended with {done.returncode}: {done.stderr[-2500:]}")
    if len(lines) > MOST_LINES or len(told) >= LONGEST_TEXT:
        raise Wrong(f"{stage} was refused in {len(lines)} lines, {len(told)} characters: {told}")
    raise Refused(told.strip())


def _require_whole(stage: str) -> None:
    import pyarrow.parquet as pq

    for path in Path("data", stage).rglob("*.parquet"):
        pq.read_table(path)
    if any(path.name.endswith((".tmp", ".partial")) for path in Path("data").rglob("*")):
        raise Wrong(f"{stage} has left a file that was not finished")


def _contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}


def _run(stage: str, seconds: float | None = LONGEST_SECONDS) -> subprocess.CompletedProcess[str]:
    row = [] if stage == CODE else [ROW]
    # Of this folder, whatever else is installed or on the path.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", f"tasks.{stage}", *row],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


COMMANDS = Kind("commands", 1, plant, prepare, write, attempt, num_programs=1 + len(STAGES))
