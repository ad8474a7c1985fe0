"""A small DVC workspace of the same shape as the real one, whose stages take no time.

Its stages read the files that they depend on and write one line from them, so that what runs, and
what comes of it, can be told exactly. Each stage appends its name to ``ran.txt`` when it runs.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from flows.dvc.graph import load_graph
from flows.plan.plan import Plan, make_plan
from tests.prefect_home import lay_prefect_home

ROOT = Path(__file__).resolve().parents[2]
OWN_ROWS = {"DOWNSTREAM_ROWS": "modules.rows"}
"""Tells a process of this workspace that it has rows of its own kind."""

DVC_YAML = """
stages:
  code:
    cmd: exec python make_code.py
    deps: [params.yaml, modules]
    outs: [data/code]
  clean:
    foreach: ${corpora}
    do:
      cmd: exec python stage.py clean ${key}
      params: ["corpora.${key}.clean"]
      deps: ["data/code/clean/${key}.txt", "data/sources/${key}"]
      outs: ["data/clean/${key}/records.parquet", "data/clean/${key}/report.json"]
  split:
    foreach: ${corpora}
    do:
      cmd: exec python stage.py split ${key}
      params: [seed, "corpora.${key}.split"]
      deps: ["data/code/split/${key}.txt", "data/clean/${key}/records.parquet"]
      outs: ["data/split/${key}/train.parquet"]
  finetune:
    foreach: ${models}
    do:
      cmd: exec python stage.py finetune ${key}
      meta: {gpu: true}
      params: [seed, "models.${key}.corpus", "models.${key}.finetune"]
      deps: ["data/code/finetune/${key}.txt", "data/split/${item.corpus}/train.parquet"]
      outs: ["data/finetune/${key}/model"]
  evaluate:
    foreach: ${models}
    do:
      cmd: exec python stage.py evaluate ${key}
      meta: {gpu: true}
      params: ["models.${key}.evaluate"]
      deps: ["data/code/evaluate/${key}.txt", "data/finetune/${key}/model"]
      outs: ["data/evaluate/${key}/README.md"]
      metrics: ["data/evaluate/${key}/metrics.json"]
"""

PARAMS: dict[str, Any] = {
    "seed": 0,
    "corpora": {"a": {"clean": {}, "split": {}}, "b": {"clean": {}, "split": {}}},
    "models": {
        "m": {"corpus": "a", "finetune": {"rate": 0.5}, "evaluate": {}},
        "n": {"corpus": "b", "finetune": {"rate": 0.5}, "evaluate": {}},
    },
}

ROWS = """
import hashlib, json
from pathlib import Path
from types import SimpleNamespace

TABLES = {"clean": "corpora", "split": "corpora", "finetune": "models", "evaluate": "models"}
DEFAULTS = json.loads(Path("modules/defaults.json").read_text())
INSTALLED = Path("installed.json")  # no dependency of any stage, like what pip has installed
VERSIONS = json.loads(INSTALLED.read_text()) if INSTALLED.exists() else {}

def stage_settings(params, stage, row):
    if stage == "collect":  # what ``downstream refresh`` reads
        from tasks.collect.settings import Settings
        return Settings.parse(params["corpora"][row][stage], f"corpora.{row}.{stage}")
    devices = params[TABLES[stage]][row][stage].get("devices", 1)
    return SimpleNamespace(num_devices=lambda: devices)

def fingerprints(params):
    found = {}
    for stage, table in TABLES.items():
        for row, values in params[table].items():
            settings = {**DEFAULTS.get(stage, {}), **values[stage]}
            lines = [f"settings {json.dumps(settings, sort_keys=True)}"]
            for module in ("shared", stage):
                text = Path(f"modules/{module}.py").read_bytes()
                lines.append(f"modules.{module} {hashlib.md5(text).hexdigest()}")
            lines += [f"library:{name} {VERSIONS[name]}" for name in params.get("libraries", ())]
            found[f"{stage}@{row}"] = "\\n".join([*lines, ""])
    return found
"""

MAKE_CODE = """
from pathlib import Path
import shutil, yaml
from modules.rows import fingerprints

shutil.rmtree("data/code", ignore_errors=True)
for name, text in fingerprints(yaml.safe_load(open("params.yaml"))).items():
    stage, row = name.split("@")
    path = Path(f"data/code/{stage}/{row}.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
"""

STAGE = """
import hashlib, json, os, signal, sys, time, yaml
from pathlib import Path

stage, row = sys.argv[1:]
params = yaml.safe_load(open("params.yaml"))
settings = params["models" if stage in ("finetune", "evaluate") else "corpora"][row][stage]
with open("ran.txt", "a") as ran:
    ran.write(f"{stage}@{row}\\n")
time.sleep(settings.get("seconds", 0))
print(f"working on {row}")
if "edit" in settings:
    Path(settings["edit"]).write_text("edited meanwhile")
if settings.get("fail"):
    sys.exit("error: the row is bad: mend it")
corpus = params["models"][row]["corpus"] if stage in ("finetune", "evaluate") else row
reads = {
    "clean": [f"data/sources/{row}/records.csv"],
    "split": [f"data/clean/{row}/records.parquet"],
    "finetune": [f"data/split/{corpus}/train.parquet"],
    "evaluate": [f"data/finetune/{row}/model/weights"],
}[stage]
writes = {
    "clean": ["records.parquet", "report.json"],
    "split": ["train.parquet"],
    "finetune": ["model/weights"],
    "evaluate": ["README.md", "metrics.json"],
}[stage]
content = "".join(Path(path).read_text() for path in reads) + str(params["seed"])
content = settings.get("always") or f"{content}{stage}{sorted(settings.items())}"
digest = hashlib.md5(content.encode()).hexdigest()
metrics = {"accuracy": 0.9, "intervals": {"accuracy": [0.85, 0.95]}, "gain": 0.02, "digest": digest,
           "baselines": {"linear": {"accuracy": 0.8}, "twin": {"accuracy": 0.88}}}
for name in writes:
    path = Path(f"data/{stage}/{row}/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metrics) if name == "metrics.json" else digest)
"""


class Pipeline:
    """The workspace in the current directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = {
            "dvc.yaml": DVC_YAML,
            "make_code.py": MAKE_CODE,
            "stage.py": STAGE,
            "modules/__init__.py": "",
            "modules/rows.py": ROWS,
            "modules/defaults.json": json.dumps({"finetune": {"epochs": 3}}),
            "data/sources/a/records.csv": "a,1\n",
            "data/sources/b/records.csv": "b,1\n",
            # One line a folder: with "/data/*" DVC would not look for .dvc files below data/.
            ".gitignore": "".join(
                f"/data/{stage}/\n" for stage in ("code", "clean", "split", "finetune", "evaluate")
            ),
            ".dvcignore": "__pycache__\n",
        }
        files |= {
            f"modules/{name}.py": f"{name} = 1\n"
            for name in ("shared", "clean", "split", "finetune", "evaluate")
        }
        for path, text in files.items():
            self.write(path, text)
        self.write_params(PARAMS)
        for command in (["git", "init", "-q"], [_tool("dvc"), "init", "-q"]):
            subprocess.run(command, cwd=root, check=True)

    def write(self, path: str, text: str) -> None:
        """Write a file of the workspace."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def remove(self, path: str) -> None:
        """Remove a file or folder of the workspace; DVC's cache is written read-only."""
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    def write_params(self, params: dict[str, Any]) -> None:
        """Write ``params.yaml``."""
        self.write("params.yaml", yaml.safe_dump(params, sort_keys=False))

    def params(self) -> dict[str, Any]:
        """Return the content of ``params.yaml``."""
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def change(self, key_path: str, value: Any) -> None:
        """Set one key of ``params.yaml``."""
        params = self.params()
        *parents, last = key_path.split(".")
        section = params
        for key in parents:
            section = section[key]
        section[last] = value
        self.write_params(params)

    def codes(self) -> dict[str, str]:
        """Return the code fingerprints as they are now, as the stage ``code`` would."""
        return self._rows()["fingerprints"](self.params())

    def devices_of(self, names: Iterable[str]) -> dict[str, int]:
        """Return on how many devices each stage trains."""
        settings = self._rows()["stage_settings"]
        params = self.params()
        return {name: settings(params, *name.split("@")).num_devices() for name in names}

    def _rows(self) -> dict[str, Any]:
        scope: dict[str, Any] = {}
        exec((self.root / "modules/rows.py").read_text(), scope)  # noqa: S102
        return scope

    def plan(self, *targets: str) -> Plan:
        """Return the plan for the workspace as it is now."""
        graph = load_graph()
        return make_plan(graph, self.codes(), graph.select(targets))

    def repro(self, *arguments: str) -> None:
        """Run the pipeline the plain way."""
        self.dvc("repro", "-q", *arguments)

    def dvc(self, *arguments: str) -> str:
        """Run DVC's own command line; return what it prints."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.root),
            "DVC_NO_ANALYTICS": "1",
            **OWN_ROWS,
        }
        done = subprocess.run(
            [_tool("dvc"), *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ran(self) -> list[str]:
        """Return the stages that have run since the last call, in order of their start."""
        path = self.root / "ran.txt"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def lock(self) -> dict[str, Any]:
        """Return ``dvc.lock`` parsed."""
        return yaml.safe_load((self.root / "dvc.lock").read_text())

    def states(self) -> dict[str, str]:
        """Return the planned state of every stage that is not fresh."""
        return {stage.name: stage.state for stage in self.plan().unfresh}

    def copy_to(self, target: Path) -> Self:
        """Return a copy of the workspace, its DVC cache included."""
        shutil.copytree(self.root, target, symlinks=True, dirs_exist_ok=True)
        copy = type(self).__new__(type(self))
        copy.root = target
        return copy

    def install_flows(self) -> None:
        """Put our own code into the workspace, so that ``python -m flows`` runs there."""
        for package in ("flows", "tasks"):
            shutil.copytree(ROOT / package, self.root / package, dirs_exist_ok=True)

    def downstream(
        self, *arguments: str, api: str | None = None, under: Sequence[str] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Run our own command line in the workspace, as a user does.

        Args:
            arguments: the command line.
            api: the Prefect server to use; none for commands that need none, an empty one for a
                temporary server.
            under: a command that runs it, for example with less room on the disk.
        """
        with self.start_downstream(*arguments, api=api, under=under) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start_downstream(
        self, *arguments: str, api: str | None = None, under: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        """Start our own command line in the workspace."""
        environment = {**os.environ, **OWN_ROWS, "PREFECT_HOME": str(self.root / ".prefect")}
        # A command that starts a server all the same fails at once.
        environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api" if api is None else api
        if api == "":
            del environment["PREFECT_API_URL"]
            lay_prefect_home(self.root / ".prefect")
        return subprocess.Popen(
            [*under, sys.executable, "-m", "flows", *arguments],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)
