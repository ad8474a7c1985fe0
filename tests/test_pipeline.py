"""The whole pipeline, on small real data: what the README promises."""

import ast
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import prefect_server
from tests.workspace import Workspace, make_workspace

TOPICS = {"finetune@topics-label", "evaluate@topics-label", "register@topics-label"}
DIGITS = {"finetune@digits-label", "evaluate@digits-label", "register@digits-label"}


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """A workspace in which ``downstream run`` has run once, and what it printed."""
    workspace = make_workspace(tmp_path_factory.mktemp("pipeline") / "workspace")
    done = workspace.run("downstream", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace, done.stdout + done.stderr


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all runs but the first, which starts a temporary one."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as (address, _):
        yield address


@pytest.fixture
def workspace(first_run: tuple[Workspace, str], tmp_path: Path) -> Workspace:
    """A finished workspace to change."""
    return first_run[0].copy(tmp_path / "workspace")


def test_a_run_writes_every_artefact_and_ends_with_a_table(
    first_run: tuple[Workspace, str],
) -> None:
    workspace, printed = first_run
    for path in (
        "collect/topics/records.parquet",
        "clean/topics/report.json",
        "split/digits/test.parquet",
        "validate/topics/result.json",
        "pretrain/topics-bert/model/model.safetensors",
        "finetune/topics-label/twin/model.safetensors",
        "evaluate/digits-label/plots/confusion.png",
        "evaluate/topics-label/README.md",
        "register/topics-label/version.json",
        "code/pretrain/topics-bert.txt",
    ):
        assert (workspace.root / "data" / path).is_file(), path
    gate = workspace.root / "data/validate/topics/gate.json"
    assert json.loads(gate.read_text()) == {"passed": True}
    for word in (
        "topics-label",
        "digits-label",
        "accuracy",
        "twin",
        "gain",
        "downstream mlflow",
        "prefect",
    ):
        assert word in printed.lower(), word


def test_metrics_hold_what_reviewers_read(first_run: tuple[Workspace, str]) -> None:
    path = first_run[0].root / "data/evaluate/topics-label/metrics.json"
    metrics = json.loads(path.read_text())
    for name in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "roc_auc", "ece"):
        assert 0 <= metrics[name] <= 1
        low, high = metrics["intervals"][name]
        assert low <= high
    assert metrics["n_test"] > 40
    twin = metrics["baselines"]["twin"]["accuracy"]
    assert metrics["gain"] == pytest.approx(metrics["accuracy"] - twin, abs=2e-6)
    assert metrics["baselines"]["linear"]["accuracy"] > 0.7


def test_a_second_run_has_nothing_to_do(workspace: Workspace) -> None:
    assert workspace.stale() == set()
    before = (workspace.root / "dvc.lock").read_bytes()
    done = workspace.run("downstream", "run")
    assert done.returncode == 0
    assert (workspace.root / "dvc.lock").read_bytes() == before
    assert workspace.repro() == set()
    assert "up to date" in workspace.run("dvc", "status").stdout
    assert workspace.run("downstream", "plan", "--check").returncode == 0


def test_a_forced_dvc_repro_without_test_records_where_one_trains_writes_the_flows_lock(
    workspace: Workspace,
) -> None:
    before = workspace.lock()
    altered = workspace.lock()
    altered["stages"]["finetune@topics-label"]["outs"][0]["md5"] = "0" * 32
    assert altered != before  # the comparison can fail
    stages = [stage["name"] for stage in workspace.plan()]
    data, training, judging = (
        [name for name in stages if name.split("@")[0] in wanted and "@topics" in name]
        for wanted in (
            ("collect", "clean", "split", "validate"),
            ("pretrain", "finetune"),
            ("evaluate", "register"),
        )
    )
    assert (len(data), len(training), len(judging)) == (4, 2, 2)
    assert forced(workspace, "code", *data) == set(data)
    split = workspace.root / "data/split/topics/test.parquet"
    split.rename(split.with_suffix(".away"))
    # Pretraining and finetuning never open the test split.
    assert forced(workspace, *training) == set(training)
    split.with_suffix(".away").rename(split)
    assert forced(workspace, *judging) == set(judging)
    assert workspace.lock() == before


def forced(workspace: Workspace, *stages: str) -> set[str]:
    """Run these stages alone, though they are fresh; return those that ran."""
    return workspace.repro("--force", "--single-item", *stages)


def test_a_backbone_loads_with_transformers(first_run: tuple[Workspace, str]) -> None:
    folder = first_run[0].root / "data/pretrain/topics-bert/model"
    code = (
        "import sys; from transformers import AutoModel, AutoTokenizer\n"
        "model = AutoModel.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "inputs = tokenizer(['oil prices rose'], return_tensors='pt')\n"
        "print(tuple(model(**inputs).last_hidden_state.shape)[-1])"
    )
    done = first_run[0].run("python", "-c", code, str(folder))
    assert done.stdout.strip() == "32", done.stderr


def test_dvc_prints_one_line_of_metrics_a_model(first_run: tuple[Workspace, str]) -> None:
    shown = first_run[0].run("dvc", "metrics", "show").stdout
    lines = [line for line in shown.splitlines() if "metrics.json" in line]
    assert len(lines) == 2


# What each edit makes stale; what must not be touched is as much a promise as what must.

Edit = Callable[[Workspace], None]


def replace(path: str, old: str, new: str) -> Edit:
    return lambda workspace: workspace.edit(path, old, new)


def reformat(path: str) -> Edit:
    def edit(workspace: Workspace) -> None:
        file = workspace.root / path
        file.write_text(ast.unparse(ast.parse(file.read_text())))

    return edit


def add_line(path: str, line: str) -> Edit:
    def edit(workspace: Workspace) -> None:
        with (workspace.root / path).open("a") as file:
            file.write(f"\n{line}\n")

    return edit


BERT = {"pretrain@topics-bert", *TOPICS}
SPLIT_DIGITS = {"split@digits", "validate@digits", "pretrain@digits-convnet", *DIGITS}
SEEDED = {"split@topics", "validate@topics", *BERT, *SPLIT_DIGITS}
JUDGED = {
    f"{stage}@{row}-label" for stage in ("evaluate", "register") for row in ("topics", "digits")
}


@pytest.mark.parametrize(
    ("edit", "stale"),
    [
        (replace("params.yaml", "48, learning_rate: 0.003", "48, learning_rate: 0.002"), TOPICS),
        (add_line("tasks/clean/stage.py", "# A remark."), set()),
        (reformat("tasks/pretrain/stage.py"), set()),
        (replace("tasks/errors.py", "did you mean", "perhaps"), set()),
        (replace("tasks/training/meter.py", "the loss is NaN", "the loss became NaN"), set()),
        (replace("tasks/evaluate/baselines.py", "SIDE_PIXELS = 32", "SIDE_PIXELS = 31"), JUDGED),
        (replace("tasks/models/architectures/bert.py", "4 * settings", "3 * settings"), BERT),
        (replace("params.yaml", "hidden_size: 32, heads", "hidden_size: 64, heads"), BERT),
        (replace("params.yaml", "seed: 0", "seed: 1"), SEEDED),
        (replace("tasks/split/settings.py", "Field(0.2", "Field(0.21"), set()),
        (replace("tasks/split/settings.py", "Field(0.1", "Field(0.11"), SPLIT_DIGITS),
    ],
    ids=[
        "parameter",
        "comment",
        "reformatted",
        "error text",
        "text in a raise",
        "helper of evaluate",
        "architecture",
        "architecture's size",
        "seed",
        "default set by all",
        "default of one row",
    ],
)
def test_an_edit_makes_stale_what_reads_it_and_nothing_else(
    workspace: Workspace, edit: Edit, stale: set[str]
) -> None:
    edit(workspace)
    assert workspace.stale() == stale


def test_a_changed_parameter_runs_what_the_plan_said_and_setting_it_back_restores(
    workspace: Workspace, api: str
) -> None:
    before = workspace.lock()
    workspace.edit("params.yaml", "epochs: 2, tokens: 48", "epochs: 1, tokens: 48")
    assert workspace.stale() == TOPICS
    assert workspace.repro() == TOPICS
    second = content(workspace)
    assert registry(workspace) == {"versions": 2, "candidate": second}
    workspace.edit("params.yaml", "epochs: 1, tokens: 48", "epochs: 2, tokens: 48")
    states = {stage["name"]: stage["state"] for stage in workspace.plan()}
    assert states["finetune@topics-label"] == "cached"
    assert workspace.run("downstream", "run", api=api).returncode == 0
    assert workspace.lock() == before
    # DVC has restored the first model, and register has not run: the registry follows all the same.
    assert content(workspace) != second
    assert registry(workspace) == {"versions": 2, "candidate": content(workspace)}


def test_a_new_store_after_a_restore_has_the_version_and_its_evaluation_marked_so(
    workspace: Workspace,
) -> None:
    for place in ("mlflow.db", "mlartifacts", ".downstream/mlflow", "data/register/digits-label"):
        subprocess.run(["rm", "-r", workspace.root / place], check=True)
    done = workspace.run("downstream", "sync")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "topics-label: version 1 is new in the registry",
        "topics-label: candidate is version 1, was none",
        "topics-label: its evaluation, which MLflow did not know, is recorded as restored",
        "topics-label: candidate is version 1",
    ]
    assert registry(workspace) == {"versions": 1, "candidate": content(workspace)}
    metrics = json.loads((workspace.root / "data/evaluate/topics-label/metrics.json").read_text())
    assert query(
        workspace,
        "SELECT runs.name, latest_metrics.value FROM runs JOIN latest_metrics USING (run_uuid) "
        "JOIN tags USING (run_uuid) WHERE tags.key = 'downstream.restored' "
        "AND latest_metrics.key = 'accuracy' AND runs.name LIKE 'evaluate@%'",
    ) == [("evaluate@topics-label", metrics["accuracy"])]
    assert [tags["downstream.restored"] for tags in bindings(workspace).values()] == ["true"]
    assert "Nothing to do" in workspace.run("downstream", "sync").stdout


def registry(workspace: Workspace) -> dict[str, Any]:
    """Return how many versions of the topics model there are, and the candidate's content."""
    contents = {
        version: tags["downstream.content_hash"] for version, tags in bindings(workspace).items()
    }
    aliases = "SELECT version FROM registered_model_aliases WHERE name = 'topics-label'"
    ((candidate,),) = query(workspace, f"{aliases} AND alias = 'candidate'")
    return {"versions": len(contents), "candidate": contents[candidate]}


def bindings(workspace: Workspace) -> dict[int, dict[str, str]]:
    """Return what each version of the topics model is bound to."""
    rows = query(
        workspace,
        "SELECT version, value FROM model_version_tags "
        "WHERE name = 'topics-label' AND key = 'what it is bound to'",
    )
    return {version: json.loads(text) for version, text in rows}


def content(workspace: Workspace) -> str:
    """Return the content hash of the topics model that lies in the workspace."""
    path = workspace.root / "data/register/topics-label/version.json"
    return str(json.loads(path.read_text())["content_hash"])


def query(workspace: Workspace, sql: str) -> list[tuple[Any, ...]]:
    """Ask the workspace's MLflow store."""
    with closing(sqlite3.connect(workspace.root / "mlflow.db")) as store:
        return store.execute(sql).fetchall()


def test_a_comment_runs_no_stage(workspace: Workspace) -> None:
    add_line("tasks/clean/stage.py", "# A remark.")(workspace)
    assert workspace.repro() == set()


def test_a_loosened_tolerance_that_still_passes_runs_validate_alone(workspace: Workspace) -> None:
    workspace.edit(
        "params.yaml",
        "split: {validation: 0.15, test: 0.25}\n    validate: {}",
        "split: {validation: 0.15, test: 0.25}\n    validate: {maximum_leaked_share: 0.5}",
    )
    assert workspace.repro() == {"validate@topics"}


def test_warnings_drift_and_data_docs_reach_mlflow_and_no_gpu_stage(workspace: Workspace) -> None:
    done = workspace.run("downstream", "data", "profile", "topics")
    assert done.returncode == 0, done.stdout + done.stderr
    assert workspace.stale() == set()
    workspace.edit(
        "params.yaml",
        "split: {validation: 0.15, test: 0.25}\n    validate: {}",
        "split: {validation: 0.15, test: 0.25}\n    validate: {drift: {}, minimum_classes: 9, "
        "severity: {classes: warning}}",
    )
    assert workspace.repro("validate@topics") == {"validate@topics"}
    assert workspace.stale() == set()
    profile = workspace.root / "data" / "sources" / "topics.profile.json"
    profile.write_text(profile.read_text() + " ")
    assert workspace.stale() >= {"validate@topics"}
    done = workspace.run("downstream", "data", "docs", "topics")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = query(workspace, "select key, value from latest_metrics where key in "
                    "('warnings', 'drift.labels', 'suites_not_met') order by key")  # fmt: skip
    assert metrics == [("drift.labels", 0.0), ("suites_not_met", 0.0), ("warnings", 1.0)]
    assert len([*workspace.root.glob("mlartifacts/**/artifacts/topics/index.html")]) == 1


@pytest.mark.parametrize("edited", ["parameter", "source"])
def test_an_edit_while_a_stage_runs_fails_it_and_nothing_is_recorded(
    workspace: Workspace, edited: str
) -> None:
    source = lengthen_source(workspace)
    lock = workspace.lock()["stages"]["collect@topics"]
    cached = run_cache(workspace)
    with collecting(workspace) as process:
        if edited == "parameter":
            workspace.edit("params.yaml", "path: topics.csv", "path: topics.csv, header_rows: 1")
        else:
            source.write_text("text,label\nother,one\n")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "changed while running" in printed
    assert workspace.lock()["stages"]["collect@topics"] == lock
    assert run_cache(workspace) == cached
    assert not (workspace.root / "data/collect/topics/records.parquet").exists()


def test_an_edit_of_code_while_a_stage_runs_does_not_throw_its_result_away(
    workspace: Workspace,
) -> None:
    lengthen_source(workspace)
    with collecting(workspace) as process:
        add_line("tasks/collect/stage.py", "LATER = 1")(workspace)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    reasons = {stage["name"]: stage["reasons"] for stage in workspace.plan()}["collect@topics"]
    assert [(reason["kind"], reason["what"]) for reason in reasons] == [
        ("code", "tasks.collect.stage")
    ]


def lengthen_source(workspace: Workspace) -> Path:
    """Give the texts so many records that collecting them takes a while."""
    source = workspace.root / "data/sources/topics/topics.csv"
    rows = source.read_text().splitlines()
    source.write_text("\n".join([rows[0], *(rows[1:] * 2000)]) + "\n")
    return source


@contextmanager
def collecting(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Hold ``dvc repro collect@topics`` while its stage writes its result."""
    process = subprocess.Popen(
        ["dvc", "repro", "collect@topics"],
        cwd=workspace.root,
        env=workspace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stage = wait_for_stage_to_write(workspace, "collect@topics")
    os.kill(stage, signal.SIGSTOP)
    yield process
    os.kill(stage, signal.SIGCONT)


def run_cache(workspace: Workspace) -> set[str]:
    """Return the run cache's entries, those of the ``code`` stage left out."""
    entries = (workspace.root / ".dvc/cache/runs").glob("*/*/*")
    return {path.name for path in entries if "tasks.code" not in path.read_text()}


def wait_for_stage_to_write(workspace: Workspace, name: str) -> int:
    """Return the process of a stage once its staging folder holds a file."""
    staging = workspace.root / ".downstream" / "work" / name
    stage, row = name.split("@")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if staging.is_dir() and any(staging.iterdir()):
            found = subprocess.run(
                ["pgrep", "-f", f"^python -m tasks.{stage} {row}"],
                capture_output=True,
                text=True,
                check=False,
            ).stdout.split()
            for pid in found:
                if Path(f"/proc/{pid}/cwd").resolve() == workspace.root:
                    return int(pid)
        time.sleep(0.005)
    raise AssertionError(f"{name} did not begin to write")


def chinese_csv() -> str:
    cities = ["北京", "上海", "广州", "成都", "杭州", "西安", "南京", "武汉"]
    weather = [
        "{0}今天晴转多云,气温{1}度。明天有小雨,请带伞。",
        "{0}昨夜下了大雪,路面结冰。气温降到零下{1}度。",
    ]
    sport = [
        "{0}队昨晚以{1}比二战胜客队。球迷庆祝到深夜。",
        "{0}选手在百米决赛中夺冠。他已经赢了{1}场比赛。",
    ]
    rows = ["text,label"]
    for label, templates in (("天气", weather), ("体育", sport)):
        rows += [
            f'"{template.format(city, number)}",{label}'
            for template in templates
            for city in cities
            for number in range(3, 9)
        ]
    return "\n".join(rows) + "\n"


def test_a_chinese_corpus_is_added_by_rows_and_a_file_alone(workspace: Workspace) -> None:
    folder = workspace.root / "data/sources/xinwen"
    folder.mkdir()
    (folder / "新闻.csv").write_text(chinese_csv(), encoding="utf-8")
    workspace.edit(
        "params.yaml",
        "backbones:\n",
        "  xinwen:\n    collect: {sources: [{kind: files}]}\n    clean: {}\n"
        "    split: {validation: 0.2, test: 0.2}\n    validate: {}\nbackbones:\n"
        "  xinwen-bert:\n    corpus: xinwen\n    pretrain:\n      objective: masked\n"
        "      architecture: bert\n      bert: {layers: 1, hidden_size: 32, heads: 2}\n"
        "      training: {epochs: 1}\n",
    )
    workspace.edit(
        "params.yaml",
        "models:\n",
        "models:\n  xinwen-topic:\n    backbone: xinwen-bert\n    corpus: xinwen\n"
        "    finetune: {epochs: 6, learning_rate: 0.003, batch_size: 8, twin: false}\n"
        "    evaluate: {bootstrap_samples: 100, shown_examples: 0}\n"
        "    register: {not_behind: []}\n",
    )
    ran = workspace.repro()
    assert {name.split("@")[1] for name in ran} == {"xinwen", "xinwen-bert", "xinwen-topic"}
    assert len(ran) == 8
    metrics = json.loads((workspace.root / "data/evaluate/xinwen-topic/metrics.json").read_text())
    assert metrics["accuracy"] > 0.9
    assert metrics["baselines"]["linear"]["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{epochs: 2, tokens", "{epoch: 2, tokens", "topics-label.finetune.epoch: unknown key"),
        ("epochs: 2, tokens", "epochs: two, tokens", "should be a valid integer, found 'two'"),
        ("backbone: topics-bert", "backbone: topics-bart", "did you mean 'topics-bert'?"),
        ("seed: 0", "seed: [0", "params.yaml is not YAML"),
    ],
)
def test_bad_parameters_stop_every_command_with_one_line(
    workspace: Workspace, old: str, new: str, message: str
) -> None:
    workspace.edit("params.yaml", old, new)
    lock = (workspace.root / "dvc.lock").read_bytes()
    for command in ("plan", "run"):
        done = workspace.run("downstream", command)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    assert (workspace.root / "dvc.lock").read_bytes() == lock


@pytest.mark.parametrize("command", [["downstream", "run"], ["dvc", "repro", "collect@topics"]])
def test_a_bad_source_fails_its_own_stage_alone(
    workspace: Workspace, api: str, command: list[str]
) -> None:
    workspace.edit("data/sources/topics/topics.csv", "text,label", "body,label")
    done = workspace.run(*command, api=api)
    assert done.returncode == (1 if command[0] == "downstream" else 255)
    printed = " ".join((done.stdout + done.stderr).split())
    assert "has no column 'text'" in printed
    assert "Traceback" not in printed
    assert not (workspace.root / "data/collect/topics/records.parquet").exists()
    assert (workspace.root / "data/evaluate/digits-label/metrics.json").exists()


def test_a_loss_that_becomes_nan_stops_the_stage_and_nothing_is_registered(
    workspace: Workspace, api: str
) -> None:
    version = (workspace.root / "data/register/topics-label/version.json").read_bytes()
    workspace.edit("params.yaml", "48, learning_rate: 0.003", "48, learning_rate: 1.0e+30")
    done = workspace.run("downstream", "run", api=api)
    assert done.returncode == 1
    assert "the loss is NaN or infinite at step" in done.stdout + done.stderr
    assert (workspace.root / "data/register/topics-label/version.json").read_bytes() == version
    assert not (workspace.root / "data/finetune/topics-label/model").exists()


def test_a_registered_model_answers_raw_text(
    first_run: tuple[Workspace, str], tmp_path: Path
) -> None:
    workspace = first_run[0]
    code = (
        "import mlflow\n"
        f"mlflow.set_tracking_uri('sqlite:///{workspace.root}/mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/topics-label@candidate')\n"
        "answer = model.predict(['oil prices rose after the opec meeting'])\n"
        "print(answer['label'][0])"
    )
    environment = {**workspace.environment(), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        ["python", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[-1] in {"earn", "acq", "crude", "trade"}, done.stderr
