"""The command line as a user meets it: exit codes, streams, and what is imported for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.app import main
from tests.flows.pipeline import Pipeline


def test_plan_json_prints_one_object_and_nothing_else(installed: Pipeline) -> None:
    installed.change("models.m.finetune.rate", 0.7)
    installed.write(".downstream/durations/finetune@m.json", '{"seconds": 81.2}')
    done = installed.downstream("plan", "--json", "finetune@m")
    assert (done.returncode, done.stderr) == (0, "")
    plan = json.loads(done.stdout)
    fresh = {"state": "fresh", "gpu": False, "reasons": [], "estimated_seconds": None}
    what = "models.m.finetune.rate"
    assert plan == {
        "stages": [
            {"name": "clean@a", **fresh},
            {"name": "split@a", **fresh},
            {
                "name": "finetune@m",
                "state": "stale",
                "gpu": True,
                "reasons": [{"kind": "param", "what": what, "old": 0.5, "new": 0.7}],
                "estimated_seconds": 81.2,
            },
        ],
        "estimated_gpu_seconds": 81.2,
        "leftovers": {"lock": [], "data": []},
        "libraries": {},
    }


def test_check_tells_by_its_exit_code_whether_anything_is_stale(installed: Pipeline) -> None:
    assert installed.downstream("plan", "--check").returncode == 0
    installed.change("seed", 1)
    assert installed.downstream("plan", "--check").returncode == 3
    assert installed.downstream("plan", "--check", "clean").returncode == 0
    assert installed.downstream("plan").returncode == 0


def test_a_plan_for_people_has_reasons_counts_and_the_next_command(installed: Pipeline) -> None:
    installed.change("models.m.finetune.rate", 0.7)
    out = installed.downstream("plan").stdout
    assert "models.m.finetune.rate: 0.5 → 0.7" in out
    assert "1 stale (will run), 1 waiting (may run: something upstream is stale), 6 fresh" in out
    assert out.rstrip().endswith("To run it: downstream run")
    assert "split@a" not in out


def test_a_plan_as_a_flowchart_and_of_what_depends_on_a_stage(installed: Pipeline) -> None:
    installed.change("models.m.finetune.rate", 0.7)
    done = installed.downstream("plan", "--graph", "--downstream", "finetune@m")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:4] == [
        "flowchart LR",
        '  s_finetune__m["finetune@m<br/>stale"]:::stale',
        '  s_evaluate__m["evaluate@m<br/>waiting"]:::waiting',
        "  s_finetune__m --> s_evaluate__m",
    ]
    out = installed.downstream("plan", "--downstream", "finetune@m").stdout
    assert out.rstrip().endswith("To run it: downstream run evaluate@m")


def test_accept_clean_and_data_show_work_from_the_command_line(installed: Pipeline) -> None:
    installed.write("modules/finetune.py", "finetune = 2\n")
    done = installed.downstream("accept", "finetune", "--reason", "only a new name")
    assert (done.returncode, done.stdout) == (0, "")
    assert "finetune@m: accepted under new code (modules.finetune)" in done.stderr
    assert installed.downstream("plan", "--check").returncode == 0
    params = installed.params()
    del params["models"]["n"]
    installed.write_params(params)
    assert "data/finetune/n" in installed.downstream("clean", "--dry-run").stdout
    assert (installed.root / "data/finetune/n").exists()
    assert "Removed: 2 records, 2 files and folders" in installed.downstream("clean").stdout
    assert not (installed.root / "data/finetune/n").exists()
    assert installed.downstream("clean").stdout == "Nothing to remove.\n"
    shown = installed.downstream("data", "show", "b", "--part", "train")
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: data/split/b/train.parquet cannot be read (")


def test_a_second_run_starts_nothing_and_no_server(installed: Pipeline) -> None:
    done = installed.downstream("run")
    assert (done.returncode, installed.ran()) == (0, []), done.stderr
    assert "Nothing to do. Stages: 0 ran, 0 restored, 8 fresh." in done.stdout
    assert "90.00" in done.stdout


def test_a_change_that_reaches_only_the_fingerprints_is_recorded_without_a_server(
    installed: Pipeline,
) -> None:
    installed.write("modules/__init__.py", "# a comment\n")
    assert installed.downstream("plan", "--check").returncode == 0
    assert installed.downstream("run").returncode == 0
    assert installed.ran() == []
    assert "up to date" in installed.dvc("status")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "evalute"], "error: no stage 'evalute' in dvc.yaml; allowed: "),
        (["plan", "--downstream", "clean@c"], "error: clean has no row 'c'; allowed: a, b"),
        (["plan", "clean", "--downstream", "clean"], "error: --downstream: it takes the place of"),
        (["plan", "--json", "--graph"], "error: --json and --graph: both print on stdout"),
        (["accept", "--reason", "good"], "error: accept: no stage was named"),
        (["accept", "clean@a", "--reason", " "], "error: --reason: expected a text that says why"),
        (["accept", "claen", "--reason", "good"], "error: no stage 'claen' in dvc.yaml; allowed: "),
        (["data", "show", "c"], "error: params.yaml: corpora has no row 'c'; allowed: a, b"),
        (["run", "--jobs", "0"], "error: --jobs: expected a number from 1, found 0"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_1(
    installed: Pipeline, arguments: list[str], message: str
) -> None:
    done = installed.downstream(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_broken_params_file_is_told_as_ours_not_as_dvcs(
    installed: Pipeline, command: str
) -> None:
    installed.write("params.yaml", "seed: [\n")
    done = installed.downstream(command)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml is not YAML: ")
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback(installed: Pipeline) -> None:
    done = installed.downstream("plan", "evalute", "--debug")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["pla"],
        ["plan", "--jsn"],
        ["run", "--jobs", "many"],
        ["accept", "clean@a"],
        ["data", "show"],
    ],
)
def test_wrong_usage_is_exit_code_2(installed: Pipeline, arguments: list[str]) -> None:
    done = installed.downstream(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["plan", "run", "refresh", "accept", "clean", "data show"])
def test_help_says_what_is_read_and_written(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([*command.split(), "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Reads" in out
    assert "writes" in out


def test_outside_a_workspace_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} is not inside a downstream work")


def test_a_plan_imports_neither_torch_nor_mlflow_nor_prefect(installed: Pipeline) -> None:
    script = (
        "import sys\n"
        "from flows.cli.app import main\n"
        "main(['plan', '--json'])\n"
        "print({'torch', 'mlflow', 'prefect', 'pandas'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=installed.root,
    )
    assert done.stderr == "set()\n"
