"""The pipeline of another checkout as a process; ``test_nightly.py`` has it on a real server."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from flows.orchestration.child_run import run_pipeline_in
from tasks.errors import StageFailed
from tests.flows.deployed import wait_for
from tests.flows.pipeline import ROOT

# Stands in for the other checkout's own code.
THEIRS = """
import json, os, signal, sys, time
from pathlib import Path

request = json.loads(sys.argv[1])

def finish(name):
    message = f"{Path.cwd().name}: {request['targets']} {request['jobs']} {os.environ['WHERE']}"
    state = {"type": "COMPLETED", "name": name, "message": message}
    Path(request["end"]).write_text(json.dumps(state))
    sys.exit()

"""


def lay_checkout(root: Path, script: str) -> Path:
    checkout = root / "other checkout"
    module = checkout / "flows" / "orchestration" / "child_run.py"
    module.parent.mkdir(parents=True)
    module.write_text(THEIRS + script)
    for path in ("flows/servers/child.py", "tasks/parent.py"):
        (checkout / path).parent.mkdir(parents=True)
        shutil.copy(ROOT / path, checkout / path)
    return checkout


STARTER = """
import os, sys
from pathlib import Path
from flows.orchestration.child_run import run_pipeline_in
run_pipeline_in(Path(sys.argv[1]), (), 0, dict(os.environ))
"""


def test_it_ends_with_a_starter_that_is_killed_even_while_it_imports(tmp_path: Path) -> None:
    # What stands at the top of a module runs as its imports do.
    script = "Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)\n"
    checkout = lay_checkout(tmp_path, script)
    command = [sys.executable, "-c", STARTER, str(checkout)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as starter:
        told = checkout / "pid"
        try:
            wait_for(lambda: told.exists() and told.read_text(), bool)
        finally:
            starter.kill()
    wait_for(lambda: psutil.pid_exists(int(told.read_text())), lambda lives: not lives, seconds=10)


def test_the_other_checkouts_code_runs_there_and_its_end_comes_back(tmp_path: Path) -> None:
    checkout = lay_checkout(tmp_path, "finish('Done')\n")
    ended = run_pipeline_in(checkout, ("finetune@m",), 2, {**os.environ, "WHERE": "here"})
    assert (ended.is_completed(), ended.name) == (True, "Done")
    assert ended.message == "other checkout: ['finetune@m'] 2 here"


def test_a_process_that_ends_without_a_word_is_a_failure(tmp_path: Path) -> None:
    checkout = lay_checkout(tmp_path, "sys.exit(7)\n")
    with pytest.raises(StageFailed, match="ended with exit code 7 and without a result"):
        run_pipeline_in(checkout, (), 0, dict(os.environ))


def interrupt_once(started: Path) -> None:
    while not started.exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("answers", [True, False])
def test_an_interrupt_ends_the_process_which_may_still_say_how(
    tmp_path: Path, answers: bool
) -> None:
    said = "signal.signal(signal.SIGTERM, lambda *_: finish('Ended'))\n" if answers else ""
    checkout = lay_checkout(tmp_path, f"{said}Path('started').touch()\ntime.sleep(600)\n")
    threading.Thread(target=interrupt_once, args=[checkout / "started"]).start()
    environment = {**os.environ, "WHERE": "here"}
    if answers:
        assert run_pipeline_in(checkout, (), 0, environment).name == "Ended"
    else:
        with pytest.raises(KeyboardInterrupt):
            run_pipeline_in(checkout, (), 0, environment)
