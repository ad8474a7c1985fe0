"""How exact staleness is, over this repository's own history: stale commits, and changed bytes.

For each of the last commits and each of three rows: whether the commit's own fingerprint differs
from that of the commit before; whether a shortened training gives other bytes, which is the truth
here; and what a probe, which is shorter still and driven from outside, says of it. Each distinct
fingerprint is run once; a commit with the fingerprint of the one before is run too where a file
that the row executes has another syntax tree.

    downstream run validate@reuters validate@digits
    python -m benchmarks.exactness [--quick] [--commits 60] [--rows …] [--json]

Edits that do change bytes are planted and judged by ``benchmarks.planted``.

What was run lies in ``.downstream/exactness/``: a second call goes on where one was stopped.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from flows.probe.earlier_code import code_of_commit
from tasks.contracts import files, paths
from tasks.contracts.params import read_params
from tasks.errors import DownstreamError
from tasks.fingerprint.modules import module_source
from tasks.fingerprint.rows import SETTINGS_LINE
from tasks.machine.git import git
from tasks.probe.changes import Tree, not_shown
from tasks.probe.probe import Probe, probe, short_run
from tasks.probe.workspace import Size, Subject

ROOT = Path(__file__).resolve().parents[1]
WORK = paths.STATE / "exactness"
ROWS = ("pretrain@reuters-bert", "pretrain@digits-contrastive", "finetune@reuters-topics")
BACKBONE = "pretrain@reuters-bert"
NUM_COMMITS, NUM_QUICK = 60, 10
TRUTH = Size(
    num_records={"train": 150, "validation": 100, "test": 100},
    epochs=3,
    batch_size=8,
    patience=3,
    interrupt_at=0,
)
"""57 steps on 150 records, in one go: the row as it runs, but for its length."""
PROBE_SECONDS = 10.0
FINGERPRINT = """
import json, sys
from importlib import import_module
from pathlib import Path
import yaml
for name in ("tasks.fingerprint.rows", "tasks.workspace.fingerprint"):
    try:
        module = import_module(name)
        break
    except ModuleNotFoundError:
        continue
params = yaml.safe_load(Path("params.yaml").read_text())
rows = [name.split("@") for name in sys.argv[1:]]
print(json.dumps({"@".join(row): module.fingerprint(params, *row, Path.cwd()) for row in rows}))
"""


@dataclass(frozen=True)
class State:
    """A commit with its code."""

    commit: str
    subject: str
    folder: Path
    fingerprints: dict[str, str]


@dataclass
class Step:
    """What one commit made of one row."""

    row: str
    commit: str
    subject: str
    is_stale: bool
    changed_bytes: bool | None = None
    """By the shortened training; not known where it was not run."""
    verdict: str | None = None
    """Of a probe, where what the full run executed is known (Python 3.12 and later)."""
    verdict_alone: str | None = None
    """Of a probe by itself."""
    why: list[str] = field(default_factory=list)


def main() -> None:
    """Judge the history, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"the last {NUM_QUICK} commits")
    parser.add_argument("--commits", type=int, default=NUM_COMMITS, help="how many commits")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS, help="which rows")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    num_commits = NUM_QUICK if arguments.quick else arguments.commits
    os.chdir(ROOT)
    root = lay_root()
    states = list(read_states(num_commits + 1))
    print(f"{len(states)} states; other fingerprints than the commit before:")
    for row in ROWS:
        pairs = pairwise(states)
        print(f"{row:28}{sum(a.fingerprints[row] != b.fingerprints[row] for a, b in pairs)}")
    steps: list[Step] = []
    with _inside(root):
        for row in arguments.rows:
            steps += judge_row(row, states, root)
    report(steps, as_json=arguments.json)


def lay_root() -> Path:
    """Return a workspace with the real splits and a backbone of its own."""
    root = (ROOT / WORK / "root").absolute()
    for corpus in ("reuters", "digits"):
        if not (ROOT / paths.split(corpus, "train")).is_file():
            sys.exit("expected data/split/: `downstream run validate@reuters validate@digits`")
        link = root / paths.split(corpus, "train").parent
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to((ROOT / paths.split(corpus, "train").parent).resolve())
    files.write_bytes(root / paths.PARAMS, (ROOT / paths.PARAMS).read_bytes())
    backbone = root / paths.stage_output(*BACKBONE.split("@"))
    if not backbone.is_dir():
        with _inside(root):
            short_run(subject_of(BACKBONE, root, TRUTH), ROOT / "tasks", keep=backbone)
    return root


@contextmanager
def _inside(root: Path) -> Iterator[None]:
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(ROOT)


def subject_of(row: str, root: Path, size: Size | None = None) -> Subject:
    """Return what is run of a row; without a size, its probe."""
    stage, _, name = row.partition("@")
    subject = Subject(stage, name, read_params(root / paths.PARAMS), root)
    return Subject(stage, name, subject.params, root, size) if size else subject


def read_states(count: int) -> Iterator[State]:
    """Yield the last commits, the oldest first, each with its own fingerprints of the rows."""
    listed = git(ROOT, "log", f"-{count}", "--reverse", "--format=%H %s")
    for line in listed.splitlines():
        commit, _, subject = line.partition(" ")
        tree = git(ROOT, "rev-parse", f"{commit}:tasks")
        kept = ROOT / WORK / "fingerprints" / f"{tree}.json"
        folder = code_of_commit(ROOT, commit).absolute()
        if not kept.exists():
            files.write_bytes(folder / paths.PARAMS, (ROOT / paths.PARAMS).read_bytes())
            done = subprocess.run(
                [sys.executable, "-c", FINGERPRINT, *ROWS],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(f"{commit[:7]}: no fingerprint: {done.stderr}")
            files.write_json(kept, json.loads(done.stdout))
        yield State(commit, subject, folder, files.read_json(kept))


def judge_row(row: str, states: list[State], root: Path) -> list[Step]:
    """Return what each commit but the first made of a row."""
    steps = []
    # What was probed for a fingerprint is the first state that has it: lines move without it.
    first_with: dict[str, State] = {}
    for state in states:
        first_with.setdefault(state.fingerprints[row], state)
    before = states[0]
    for state in states[1:]:
        old, new = before.fingerprints[row], state.fingerprints[row]
        step = Step(row, state.commit[:7], state.subject, is_stale=old != new)
        if step.is_stale or _reaches(row, before, state, root):
            was, became = truth(row, before, root), truth(row, state, root)
            step.changed_bytes = was["files"] != became["files"]
        if step.is_stale:
            pair = first_with[old], first_with[new]
            lines = truth(row, pair[0], root)["lines"]
            step.verdict, step.why = judge(row, *pair, root, lines)
            step.verdict_alone, _ = judge(row, *pair, root, None)
            print(
                f"{row} {step.commit} bytes changed: {step.changed_bytes}, probe: {step.verdict} "
                f"(by itself {step.verdict_alone})"
            )
            print("".join(f"    {line}\n" for line in step.why[:5]), end="", flush=True)
        steps.append(step)
        before = state
    return steps


def truth(row: str, state: State, root: Path) -> dict[str, Any]:
    """Return what the shortened training gave: ``files``, and by file the ``lines`` it executed."""
    code = state.folder / "tasks"
    key = _key("watched truth", row, state.fingerprints[row], _executed_trees(row, state, root))
    kept = root.parent / "truths" / f"{key}.json"
    if not kept.exists():
        try:
            made = short_run(subject_of(row, root, TRUTH), code)
        except DownstreamError as error:
            made = {"files": {"failed": str(error)}, "executed": {}}
        executed = made["executed"].items()
        lines = {name: sorted({place[0] for place in places}) for name, places in executed}
        files.write_json(kept, {"files": made["files"], "lines": lines})
    found: dict[str, Any] = files.read_json(kept)
    return found


def judge(
    row: str, before: State, after: State, root: Path, lines: dict[str, list[int]] | None
) -> tuple[str, list[str]]:
    """Return what a probe says of a change, as ``downstream plan --probe`` would.

    Args:
        row: the row.
        before: the state of the recorded result.
        after: the state with the changed code.
        root: the workspace.
        lines: what the recorded full run executed, if that is to be known.
    """
    old_lines, new_lines = (_lines(state.fingerprints[row]) for state in (before, after))
    if old_lines.get(SETTINGS_LINE) != new_lines.get(SETTINGS_LINE):
        return "none", ["settings differ"]
    modules = sorted(n for n in {*old_lines, *new_lines} if old_lines.get(n) != new_lines.get(n))
    others = [name for name in modules if "/" in name]
    if others:
        return "none", [f"{name} is no code" for name in others]
    try:
        old, new = probe_of(row, before, root), probe_of(row, after, root)
    except DownstreamError as error:
        return "none", [str(error)]
    if old.files != new.files:
        return "different", sorted(n for n in old.files if old.files[n] != new.files.get(n))
    hidden = not_shown(_tree(before.folder, modules, old, lines), _tree(after.folder, modules, new))
    return ("none", hidden) if hidden else ("same", [])


def probe_of(row: str, state: State, root: Path) -> Probe:
    """Return the probe of a state's code; states with the same fingerprint share it."""
    kept = root.parent / "probes" / f"{_key('probe', row, state.fingerprints[row])}.json"
    if not kept.exists():
        made = probe(subject_of(row, root), state.folder / "tasks", {})
        files.write_json(kept, asdict(made))
    return Probe(**files.read_json(kept))


def _executed_trees(row: str, state: State, root: Path) -> str:
    """Return one hash over the syntax trees of the files that a row's probe executes."""
    digest = hashlib.sha256()
    try:
        executed = probe_of(row, state, root).executed
    except DownstreamError:
        return state.commit
    for name in sorted(executed):
        path = state.folder / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        digest.update(f"{name}\0{ast.dump(_WithoutTexts().visit(ast.parse(text)))}\n".encode())
    return digest.hexdigest()


class _WithoutTexts(ast.NodeTransformer):
    """Drops docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Put nothing in the place of a text that stands alone."""
        return ast.Pass() if isinstance(node.value, ast.Constant) else node


def _reaches(row: str, before: State, after: State, root: Path) -> bool:
    """Tell whether a file that the row executes has another syntax tree."""
    return _executed_trees(row, before, root) != _executed_trees(row, after, root)


def _lines(fingerprint: str) -> dict[str, str]:
    pairs = (line.partition(" ") for line in fingerprint.splitlines())
    return {name: rest for name, _, rest in pairs}


def _tree(
    folder: Path, modules: list[str], made: Probe, lines: dict[str, list[int]] | None = None
) -> Tree:
    found = {name: module_source(folder, name) for name in modules}
    texts = {
        name: path.read_text(encoding="utf-8") for name, path in found.items() if path.exists()
    }
    return Tree(texts, made.executed, lines)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def report(steps: list[Step], *, as_json: bool) -> None:
    """Print a table with a line a row."""
    rows = {row: [step for step in steps if step.row == row] for row in ROWS}
    rows = {row: of_row for row, of_row in rows.items() if of_row}
    found = {row: count(of_row) for row, of_row in rows.items()}
    names = list(next(iter(found.values())))
    print(f"\n{'':28}" + "".join(f"{name:>22}" for name in names))
    for row, numbers in found.items():
        print(f"{row:28}" + "".join(f"{numbers[name]:>22}" for name in names))
    if as_json:
        print(json.dumps({"rows": found, "steps": [asdict(step) for step in steps]}))


def count(steps: list[Step]) -> dict[str, Any]:
    """Return what the table says of one row."""
    stale = [step for step in steps if step.is_stale]
    harmless = [step for step in stale if step.changed_bytes is False]
    cleared = [step for step in harmless if step.verdict == "same"]
    return {
        "commits": len(steps),
        "stale": len(stale),
        "bytes changed": len(stale) - len(harmless),
        "harmless": len(harmless),
        "cleared": len(cleared),
        "cleared by itself": sum(step.verdict_alone == "same" for step in harmless),
        "cleared wrongly": sum(s.verdict == "same" and bool(s.changed_bytes) for s in stale),
        "fresh, other bytes": sum(not s.is_stale and bool(s.changed_bytes) for s in steps),
    }


if __name__ == "__main__":
    main()
