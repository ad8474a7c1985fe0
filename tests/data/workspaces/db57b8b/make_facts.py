"""Write down what is true of the fixture's workspace, with the code that made it.

cd WORKSPACE && .venv/bin/python ../make_facts.py > ../facts.json
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import yaml

STORE = f"sqlite:///{Path('mlflow.db').absolute()}"
ALIASES = ("champion", "candidate", "previous")
ASKED = 5
"""How many records each version is asked, evenly spread over the test split."""
COMMIT = "db57b8b"


def main() -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    mlflow.set_tracking_uri(STORE)
    client = mlflow.MlflowClient(STORE)
    facts = {
        "commit": subprocess.check_output(["git", "rev-parse", COMMIT], text=True).strip(),
        "models": {name: of_model(client, name, row) for name, row in params["models"].items()},
        "outputs": outputs(lock),
        "code": {
            name: item["md5"]
            for name, entry in lock.items()
            for item in entry.get("deps", [])
            if item["path"].startswith("data/code/")
        },
        "run_cache": run_cache(lock),
        "libraries": json.loads(max(Path(".downstream/libraries").rglob("*.json")).read_text()),
        "plan": of_command("plan", "--json"),
        "history": {name: of_command("history", name, "--json") for name in params["models"]},
        "lineage": {name: of_command("lineage", name, "--json") for name in params["models"]},
    }
    json.dump(facts, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def of_model(client: Any, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a registered model: its aliases, versions, and what each aliased version answers."""
    aliases = {alias: int(n) for alias, n in client.get_registered_model(name).aliases.items()}
    inputs = asked(row["corpus"])
    content = [
        base64.b64decode(one["base64"]) if "base64" in one else one["text"] for one in inputs
    ]
    answers = {}
    for alias in [alias for alias in ALIASES if alias in aliases]:
        table = mlflow.pyfunc.load_model(f"models:/{name}@{alias}").predict(content)
        answers[alias] = table.to_dict(orient="records")
    return {
        "corpus": row["corpus"],
        "backbone": row["backbone"],
        "aliases": aliases,
        "registered_tags": dict(sorted(client.get_registered_model(name).tags.items())),
        "versions": {
            number.version: of_version(client, number)
            for number in sorted(
                client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version)
            )
        },
        "asked": inputs,
        "answers": answers,
    }


def of_version(client: Any, version: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(
            version.tags["downstream.evidence_run"], "evaluation/metrics.json", folder
        )
        metrics = json.loads(Path(path).read_text(encoding="utf-8"))
    return {
        "accuracy": metrics["accuracy"],
        "content_hash": version.tags["downstream.content_hash"],
        "tags": dict(sorted(version.tags.items())),
    }


def asked(corpus: str) -> list[dict[str, str]]:
    """Return some test records: text, or a PNG in base64; with id and label."""
    table = pd.read_parquet(f"data/split/{corpus}/test.parquet")
    rows = table.iloc[[len(table) * n // ASKED for n in range(ASKED)]].to_dict(orient="records")
    found = []
    for row in rows:
        text, image = row.get("text"), row.get("image")
        content = (
            {"text": text}
            if isinstance(text, str)
            else {"base64": base64.b64encode(image).decode("ascii")}
        )
        found.append({"id": row["id"], "label": row["label"], **content})
    return found


def outputs(lock: dict[str, Any]) -> dict[str, str]:
    return {
        item["path"]: item["md5"]
        for name, entry in lock.items()
        if name != "code"
        for item in entry.get("outs", [])
    }


def run_cache(lock: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return how many results of each stage DVC's run cache has, and how many are not current."""
    current = {json.dumps(hashes(entry)) for entry in lock.values()}
    every, other = Counter(), Counter()
    for path in Path(".dvc/cache/runs").rglob("*"):
        if path.is_file():
            entry = yaml.safe_load(path.read_text(encoding="utf-8"))
            name = entry["cmd"].removeprefix("exec python -m tasks.").replace(" ", "@")
            every[name] += 1
            other[name] += json.dumps(hashes(entry)) not in current
    return {name: {"results": every[name], "not_current": other[name]} for name in sorted(every)}


def hashes(entry: dict[str, Any]) -> list[list[str]]:
    parts = [*entry.get("deps", []), *entry.get("outs", [])]
    return sorted([item["path"], item["md5"]] for item in parts)


def of_command(*arguments: str) -> Any:
    done = subprocess.run(["downstream", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
