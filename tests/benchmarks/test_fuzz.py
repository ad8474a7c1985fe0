"""The fuzzer repeats its cases, and tells each thing that must not happen."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KINDS = ("texts", "images", "params", "pins")
NUM_CASES = 4
PLANTED = """
import os, sys, time
from pathlib import Path
from benchmarks.fuzz import cases
from tasks.errors import BadInput

cases.LONGEST_SECONDS = 1.5
cases.MOST_MEMORY_MB = 100

def raises(): raise ValueError("not caught")
def waits(): time.sleep(60)
def takes(): bytearray(300 * 2**20)
def dies(): os.kill(os.getpid(), 9)
def talks(): raise BadInput("too much " * 45 + "\\n" + "too much " * 45)
def rambles(): raise BadInput("a\\nb\\nc")
def prints(): print("Traceback (most recent call last):", flush=True)
def refuses(): raise BadInput("a line")
def works(): pass

for attempt in (raises, waits, takes, dies, talks, rambles, prints, refuses, works):
    def write(random, planted, folder):
        (folder / "input").write_text(str(random.random()))
    kind = cases.Kind(attempt.__name__, 1, None, None, write, attempt)
    folder = Path(sys.argv[1], attempt.__name__)
    outcome = cases.run_case(kind, folder, folder, cases.generator(1, kind.name, 0))
    print(kind.name, outcome.end, outcome.place.split(" ")[0], (folder / "input").exists())
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is told of a few cases of each kind whose valid files are made in no time."""
    folder = str(tmp_path_factory.mktemp("fuzz"))
    words = ("--seed", "1", "--cases", str(NUM_CASES), "--workers", "1", "--keep", folder, "--json")
    done = run("-m", "benchmarks.fuzz", "--only", *KINDS, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_inputs_of_each_kind_end_in_a_result_or_a_line(
    figures: dict[str, Any], kind: str
) -> None:
    told = figures["kinds"][kind]
    assert (told["tried"], told["wrong"]) == (NUM_CASES, 0)
    assert told["taken"] + told["refused"] == NUM_CASES


def test_what_must_not_happen_is_told_and_its_input_kept(tmp_path: Path) -> None:
    done = run("-c", PLANTED, str(tmp_path))
    assert done.stdout.splitlines() == [
        "raises wrong ValueError True",
        "waits wrong hang: True",
        "takes wrong memory, True",
        "dies wrong SIGKILL True",
        "talks wrong text True",
        "rambles wrong text True",
        "prints wrong a True",
        "refuses refused BadInput False",
        "works taken  False",
    ], done.stderr


def test_a_fault_in_the_code_is_found_and_repeated_by_its_number(tmp_path: Path) -> None:
    planted = (
        "import sys, yaml, tasks.contracts.params as params\n"
        "def read_params(path=params.PARAMS): return yaml.safe_load(path.read_bytes())\n"
        "params.read_params = read_params\n"
        "from benchmarks.fuzz.__main__ import main\n"
        "sys.exit(main())\n"
    )
    common = ("-c", planted, "--only", "params", "--seed", "1", "--workers", "1")
    done = run(*common, "--cases", "16", "--keep", str(tmp_path / "all"), "--json")
    assert done.returncode == 1, done.stderr
    assert "Traceback (most recent call last)" in done.stdout
    kept = [path.name for path in (tmp_path / "all" / "params").iterdir()]
    assert len(kept) == json.loads(done.stdout.splitlines()[-1])["kinds"]["params"]["wrong"] > 0
    again = run(*common, "--case", f"params/{kept[0]}", "--keep", str(tmp_path / "one"))
    assert again.returncode == 1
    inputs = [
        (tmp_path / name / "params" / kept[0] / "params.yaml").read_bytes()
        for name in ("all", "one")
    ]
    assert inputs[0] == inputs[1]
