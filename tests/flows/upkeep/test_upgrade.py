"""An earlier version's results under this version's code: what is taken over, and what is refused.

The first tests use the quick pipeline; the others a workspace that the code of an earlier commit
has made, with real processes.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.upkeep.accept import accept
from flows.upkeep.upgrade import upgrade
from tasks.contracts.acceptances import LOGS
from tasks.contracts.lock import md5_of, md5_of_text
from tests.earlier_workspace import facts_of, lay_earlier_workspace
from tests.flows.pipeline import Pipeline
from tests.workspace import Workspace

EARLIER = "db57b8b"
STAGES = 20


@pytest.fixture(autouse=True)
def this_python_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def new_version(pipeline: Pipeline) -> None:
    """Change every module, the command of a stage, and give a stage a setting more."""
    for module in ("shared", "clean", "split", "finetune", "evaluate"):
        pipeline.write(f"modules/{module}.py", f"{module} = 2\n")
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write("dvc.yaml", text.replace("stage.py finetune", "./stage.py finetune"))
    defaults = {"finetune": {"epochs": 3}, "evaluate": {"level": 0.95}}
    pipeline.write("modules/defaults.json", json.dumps(defaults))


def test_what_differs_by_a_new_version_alone_is_taken_over_and_nothing_runs(
    pipeline: Pipeline,
) -> None:
    before = pipeline.lock()["stages"]
    new_version(pipeline)
    done = upgrade(pipeline.codes())
    assert [one["stage"] for one in done.accepted] == list(load_order(pipeline))
    assert done.refused == {}
    assert pipeline.states() == {}
    assert "up to date" in pipeline.dvc("status")
    pipeline.repro()
    assert pipeline.ran() == []
    after = pipeline.lock()["stages"]
    assert {name: entry["outs"] for name, entry in before.items() if name != "code"} == {
        name: entry["outs"] for name, entry in after.items() if name != "code"
    }
    lines = [json.loads(line) for line in LOGS[0].read_text(encoding="utf-8").splitlines()]
    assert {line["reason"] for line in lines} == {"upgrade from an earlier version"}
    # Whoever follows an acceptance back sees a command that differs too.
    assert {line["stage"] for line in lines if "cmd" in line["changed"]} == {
        "finetune@m", "finetune@n"
    }  # fmt: skip
    assert upgrade(pipeline.codes()).accepted == []


def load_order(pipeline: Pipeline) -> list[str]:
    return [stage.name for stage in pipeline.plan().stages]


def change_parameter(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)


def change_default(pipeline: Pipeline) -> None:
    pipeline.change("models.n.finetune.epochs", 3)  # and so it is no default for this row
    pipeline.repro()
    pipeline.ran()
    pipeline.write("modules/defaults.json", json.dumps({"finetune": {"epochs": 5}}))


def change_default_of(before: Any, after: Any) -> Callable[[Pipeline], None]:
    """Return what gives a setting that a row leaves to the code another value under new code."""

    def change(pipeline: Pipeline) -> None:
        pipeline.change("models.n.finetune.sizes", 1)
        pipeline.write("modules/defaults.json", json.dumps({"finetune": {"sizes": before}}))
        pipeline.repro()
        pipeline.ran()
        pipeline.write("modules/defaults.json", json.dumps({"finetune": {"sizes": after}}))

    return change


def edit_output(pipeline: Pipeline) -> None:
    pipeline.write("data/finetune/m/model/weights", "edited")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (change_parameter, "models.m.finetune.rate: 0.5 → 0.7"),
        (change_default, "models.m.finetune.epochs: 3 → 5 (default)"),
        (change_default_of(None, 8), "models.m.finetune.sizes: (not set) → 8 (default)"),
        (change_default_of(8, None), "models.m.finetune.sizes: 8 → (not set) (default)"),
        (change_default_of([8], [8, 4]), "models.m.finetune.sizes.1: (not set) → 4 (default)"),
        (change_default_of(None, {"a": 1}), "models.m.finetune.sizes.a: (not set) → 1 (default)"),
        (edit_output, "changed on disk: data/finetune/m/model"),
    ],
)
def test_what_differs_otherwise_is_named_and_left_stale_and_the_rest_is_taken_over(
    pipeline: Pipeline, change: Callable[[Pipeline], None], told: str
) -> None:
    new_version(pipeline)
    change(pipeline)
    for _ in range(2):
        refused = upgrade(pipeline.codes()).refused
        also = {"evaluate@m"} if change is edit_output else set()  # which has read that output
        assert refused.keys() == {"finetune@m", *also}
        assert refused["finetune@m"] == told
        assert pipeline.states().keys() == {"finetune@m", "evaluate@m"}


def test_a_new_setting_without_a_value_is_taken_over_and_can_be_accepted(
    pipeline: Pipeline,
) -> None:
    pipeline.write("modules/defaults.json", json.dumps({"finetune": {"epochs": 3, "limit": None}}))
    accept(("finetune@m",), "it is not read", pipeline.codes())
    done = upgrade(pipeline.codes())
    assert ([one["stage"] for one in done.accepted], done.refused) == (["finetune@n"], {})
    assert pipeline.states() == {}


def report_of(splits: tuple[str, ...], other_label: int, **more: Any) -> str:
    counts = {"dropped": {"duplicate_other_label": other_label}}
    return json.dumps({"splits": dict.fromkeys(splits, counts), **more})


@pytest.mark.parametrize(
    ("report", "is_taken_over"),
    [
        (report_of(("none",), 3), False),
        (report_of(("none",), 0), True),
        (report_of(("none", "train"), 3), True),
        (report_of(("train",), 3), True),
        (report_of(("none",), 3, label_conflicts={"rule": "majority"}), True),
    ],
)
def test_labels_that_today_are_decided_by_majority_are_not_taken_over(
    pipeline: Pipeline, report: str, is_taken_over: bool
) -> None:
    pipeline.write("data/clean/a/report.json", report)
    pipeline.dvc("commit", "--force", "clean@a")
    new_version(pipeline)
    refused = upgrade(pipeline.codes()).refused
    told = (
        "3 records whose label was not the first of equal ones are judged by majority now: "
        "corpora.a.clean.label_conflicts: first keeps the records as they are"
    )
    assert refused == ({} if is_taken_over else {"clean@a": told})


def test_a_row_that_never_ran_is_named(pipeline: Pipeline) -> None:
    pipeline.change("models.k", {"corpus": "a", "finetune": {"rate": 1.0}, "evaluate": {}})
    new_version(pipeline)
    assert upgrade(pipeline.codes()).refused == {
        "finetune@k": "it never ran",
        "evaluate@k": "it never ran",
    }


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The earlier workspace under this code, before the upgrade; only to be copied."""
    return lay_earlier_workspace(EARLIER, tmp_path_factory.mktemp("earlier") / "workspace")


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """It after the upgrade; MLflow keeps absolute places, so it is laid anew."""
    root = tmp_path_factory.mktemp("upgraded") / "workspace"
    workspace = lay_earlier_workspace(EARLIER, root)
    done = succeeded(workspace, "downstream", "upgrade")
    assert done.count(": taken over\n") == STAGES
    return workspace


def succeeded(workspace: Workspace, *command: str) -> str:
    """Return what a command says, which ends well."""
    done = workspace.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_earlier_workspace_is_fresh_after_the_upgrade_and_no_stage_ran(
    upgraded: Workspace,
) -> None:
    succeeded(upgraded, "downstream", "plan", "--check")
    assert upgraded.repro() == set()
    outputs = {
        item["path"]: item["md5"]
        for name, entry in upgraded.lock()["stages"].items()
        for item in (entry.get("outs", []) if name != "code" else [])
    }
    assert outputs == facts_of(EARLIER)["outputs"]
    commit = upgraded.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    lines = (upgraded.root / "accepted.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == STAGES
    assert {json.loads(line)["reason"] for line in lines} == {f"upgrade from {commit}"}
    assert "nothing to do" in succeeded(upgraded, "downstream", "upgrade")


ASK = """
import base64, json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
answers = {}
for model, inputs in json.load(sys.stdin).items():
    content = [base64.b64decode(i["base64"]) if "base64" in i else i["text"] for i in inputs]
    served = mlflow.pyfunc.load_model(f"models:/{model}@champion")
    answers[model] = served.predict(content).to_dict(orient="records")
print(json.dumps(answers))
"""


def test_every_champion_answers_as_it_did(upgraded: Workspace, tmp_path: Path) -> None:
    models = facts_of(EARLIER)["models"]
    done = subprocess.run(
        [sys.executable, "-c", ASK, f"sqlite:///{upgraded.root / 'mlflow.db'}"],
        input=json.dumps({model: facts["asked"] for model, facts in models.items()}),
        cwd=tmp_path,  # far from the repository: a version brings its own code
        env={**upgraded.environment(), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for model, facts in models.items():
        for answer, before in zip(answers[model], facts["answers"]["champion"], strict=True):
            assert_alike(answer, before)


def assert_alike(answer: dict[str, Any], before: dict[str, Any]) -> None:
    assert answer.keys() == before.keys()
    assert answer["label"] == before["label"]
    for name, value in before.items():
        if isinstance(value, float | dict):
            assert answer[name] == pytest.approx(value, abs=1e-5)


def test_the_registry_goes_on_where_it_was(upgraded: Workspace) -> None:
    model = "topics-from-bert"
    lineage = succeeded(upgraded, "downstream", "lineage", model)
    assert "upgrade from" in " ".join(lineage.split())
    review = succeeded(upgraded, "downstream", "review", "show", model)
    # The champion's recorded scores are an earlier code's, so the present one makes them again.
    assert f"{model}: version 2 is scored again: the code of evaluate is another now" in review
    succeeded(upgraded, "downstream", "review", "approve", model, "--comment", "good")
    rolled = succeeded(upgraded, "downstream", "rollback", model, "--reason", "complaints")
    assert "version 2 is the champion again" in rolled
    assert "recorded predictions repeated" in rolled
    assert "entries holds" in succeeded(upgraded, "downstream", "history", model, "--verify")


def test_a_review_that_was_open_is_made_anew_and_can_be_decided(upgraded: Workspace) -> None:
    model = "digits-from-autoencoder"
    approve = ("downstream", "review", "approve", model, "--comment", "reads more digits")
    done = upgraded.run(*approve)
    assert done.returncode == 1
    request = f"downstream review request {model}"
    assert f"`{request}` compares anew" in " ".join(done.stderr.split())
    succeeded(upgraded, *request.split())
    succeeded(upgraded, *approve)
    assert "entries holds" in succeeded(upgraded, "downstream", "history", model, "--verify")


BY_HAND = """
import sys, mlflow
client = mlflow.MlflowClient(sys.argv[1])
client.set_registered_model_alias("topics-from-vectors", "previous", "1")
"""


def test_history_is_the_repair_of_an_alias_that_no_log_entry_explains(upgraded: Workspace) -> None:
    store = f"sqlite:///{upgraded.root / 'mlflow.db'}"
    succeeded(upgraded, sys.executable, "-c", BY_HAND, store)
    told = succeeded(upgraded, "downstream", "history", "topics-from-vectors", "--verify")
    assert "outside downstream; recorded as entry" in told
    assert "entries holds" in told


def test_a_changed_parameter_or_seed_is_refused_in_one_line_and_the_rest_is_taken_over(
    earlier: Workspace,
) -> None:
    # What a seed that is edited in the last second of a dvc repro leaves.
    settings = earlier.root / "data/split/digits/settings.json"
    made_with = settings.read_bytes()
    settings.unlink()
    settings.write_bytes(made_with.replace(b'"seed": 0', b'"seed": 1'))
    before, after = md5_of_text(made_with.decode()), md5_of(settings)
    earlier.edit("dvc.lock", before, after)
    cached = earlier.root / f".dvc/cache/files/md5/{after[:2]}/{after[2:]}"
    cached.parent.mkdir(exist_ok=True)
    shutil.copy(settings, cached)
    earlier.edit("params.yaml", "epochs: 6, tokens: 32", "epochs: 7, tokens: 32")
    done = earlier.run("downstream", "upgrade")
    assert done.returncode == 1
    assert sorted(line for line in done.stderr.splitlines() if "error" in line) == [
        "error: finetune@topics-from-vectors: not only this project's code differs: "
        "models.topics-from-vectors.finetune.epochs: 6 → 7",
        "error: split@digits: not only this project's code differs: seed: recorded as 0, made with "
        "1",
    ]
    assert "split@digits" in earlier.stale()
    assert {name for name in earlier.stale() if "topics" in name} == {
        f"{stage}@topics-from-vectors" for stage in ("finetune", "evaluate", "register")
    }
