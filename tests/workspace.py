"""A whole workspace in a folder of its own: this checkout's code, small real data, quick models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.prefect_home import lay_prefect_home

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests" / "data" / "reuters-sample.csv"

# The models are too small to beat a baseline, and are not asked to.
PARAMS = """\
seed: 0
corpora:
  topics:
    collect: {sources: [{kind: files, path: topics.csv}]}
    clean: {}
    split: {validation: 0.15, test: 0.25}
    validate: {}
  digits:
    collect: {sources: [{kind: sklearn}]}
    clean: {}
    split: {test: 0.3}
    validate: {}
backbones:
  topics-bert:
    corpus: topics
    pretrain:
      objective: masked
      architecture: bert
      masked: {tokens: 48, vocabulary_size: 600}
      bert: {layers: 1, hidden_size: 32, heads: 2, positions: 64}
      training: {epochs: 2}
  digits-convnet:
    corpus: digits
    pretrain:
      objective: classification
      architecture: convnet
      convnet: {channels: 8, hidden_size: 32}
      training: {epochs: 1}
models:
  topics-label:
    backbone: topics-bert
    corpus: topics
    finetune: {epochs: 2, tokens: 48, learning_rate: 0.003}
    evaluate: {bootstrap_samples: 100}
    register: {not_behind: []}
  digits-label:
    backbone: digits-convnet
    corpus: digits
    finetune: {epochs: 2, learning_rate: 0.003, twin: false}
    evaluate: {bootstrap_samples: 100, shown_examples: 0}
    register: {not_behind: []}
"""


@dataclass(frozen=True)
class Workspace:
    """A folder with its own git and DVC."""

    root: Path

    def run(
        self, *command: str, timeout: float = 600, api: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace with this interpreter's tools first on the path.

        Args:
            command: the words of the command.
            timeout: seconds it may take.
            api: the Prefect server that a flow uses; none starts a temporary one.
        """
        server = {"PREFECT_API_URL": api} if api else {}
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment(), **server},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """Return this process' environment, without what pytest added to the paths."""
        tools = str(Path(sys.executable).parent)
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        dropped = {"PYTHONPATH", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"}
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {**kept, "PATH": path, "PREFECT_HOME": str(self.root / ".prefect")}

    def repro(self, *arguments: str) -> set[str]:
        """Run ``dvc repro``, and return the stages that ran, ``code`` left out."""
        done = self.run("dvc", "repro", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return {
            line.split("'")[1]
            for line in done.stdout.splitlines()
            if line.startswith("Running stage")
        } - {"code"}

    def stale(self) -> set[str]:
        """Return the stages that ``downstream plan`` does not call fresh."""
        return {stage["name"] for stage in self.plan() if stage["state"] != "fresh"}

    def plan(self) -> list[dict[str, Any]]:
        """Return the stages of ``downstream plan --json``."""
        import json

        done = self.run("downstream", "plan", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
        return stages

    def lock(self) -> dict[str, Any]:
        """Return ``dvc.lock``, parsed."""
        lock: dict[str, Any] = yaml.safe_load((self.root / "dvc.lock").read_text())
        return lock

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands in a file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def copy(self, root: Path) -> Workspace:
        """Copy the workspace, its data and caches to a new folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return Workspace(root)


def make_workspace(root: Path) -> Workspace:
    """Lay a workspace that has not run yet."""
    root.mkdir(parents=True)
    lay_code(root)
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    for corpus in ("topics", "digits"):
        (root / "data" / "sources" / corpus).mkdir(parents=True)
        (root / "data" / "sources" / corpus / "pin.json").write_text("{}\n")
    shutil.copy(SAMPLE, root / "data" / "sources" / "topics" / "topics.csv")
    return Workspace(root)


def lay_code(root: Path) -> None:
    """Lay this checkout's code into a folder, with git and DVC of its own."""
    for folder in ("flows", "tasks"):
        shutil.copytree(ROOT / folder, root / folder)  # with the bytecode that there is
    for file in ("dvc.yaml", ".gitignore", ".dvcignore", "pyproject.toml"):
        shutil.copy(ROOT / file, root / file)
    workspace = Workspace(root)
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        done = workspace.run(*command)
        assert done.returncode == 0, done.stderr
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc" / "config")
    lay_prefect_home(root / ".prefect")
