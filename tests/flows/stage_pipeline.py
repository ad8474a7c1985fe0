"""The small pipeline with real stage processes: their locks, leases, kept results and checkpoints.

The stages are toys, what starts, holds and ends them is ours. ``control.json`` makes one die or
linger at a chosen moment; it is no input, so what is recorded stays the same.
"""

import json
import subprocess
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from tests.flows.pipeline import DVC_YAML, Pipeline

TOY = """
import hashlib, json, os, signal, sys, time
from pathlib import Path

from tasks import errors
from tasks.contracts.params import read_params
from tasks.progress import say
from tasks.stage_process import process

ROOM = Path(os.environ.get("TOY_ROOM", ""))  # where what is no input lies


class Settings:
    def __init__(self, values):
        self.values = values

    @classmethod
    def parse(cls, values, where):
        return cls(values)

    def model_dump(self, mode):
        return self.values

    def num_devices(self):
        return self.values.get("devices", 1)

    def takes_fewer_devices(self):
        return False

    def num_training_processes(self):
        return self.num_devices()


def main(stage):
    name = f"{stage}@{sys.argv[1]}"
    control = (ROOM / "control.json")
    wanted = json.loads(control.read_text()).get(name, "") if control.exists() else ""
    process._hand_over = handing_over(process._hand_over, wanted)
    with process.stage_process(stage, Settings) as run:
        note(f"begin {name} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}")
        body(stage, run, wanted)
        note(f"end {name}")


def note(line):
    with open(ROOM / "events.txt", "a") as events:
        events.write(line + "\\n")


def handing_over(hand_over, wanted):
    def patched(*arguments):
        if wanted == "die finished":
            os.kill(os.getpid(), 9)
        hand_over(*arguments)
        if wanted == "die moved":
            os.kill(os.getpid(), 9)
        if wanted == "linger":
            (ROOM / "lingers").touch()
            time.sleep(60)

    return patched


def keep_checkpoint_at_sigterm(run):
    def stopped(*_):
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        (run.checkpoints / "step").write_text("1")
        raise errors.Preempted("stopped by SIGTERM; a checkpoint is kept")

    signal.signal(signal.SIGTERM, stopped)


def body(stage, run, wanted):
    settings, row = run.settings.values, run.row
    if wanted.startswith("unreachable"):
        tries = (ROOM / "events.txt").read_text().count(f"begin {run.name} ")
        if tries <= int(wanted.split()[1]):
            raise errors.Unreachable("the hub is away: wait")
    if wanted == "bad":
        raise errors.BadInput("the row is bad: mend it")
    if wanted == "progress":
        for done in (1, 3):
            print(f"finetune {row}: {done}/4 loss 0.5", flush=True)
        wanted = "wait"
    if wanted == "wait":
        (ROOM / "waits").touch()
        while not (ROOM / "go").exists():
            time.sleep(0.05)
    if wanted == "checkpoint" and (run.checkpoints / "step").exists():
        note(f"resume {run.name}")
    elif wanted == "checkpoint":
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        (run.checkpoints / "step").write_text("1")
        (ROOM / "checkpointed").touch()
        time.sleep(60)
    if wanted == "until stopped" and not (run.checkpoints / "step").exists():
        keep_checkpoint_at_sigterm(run)
        (ROOM / "trains").touch()
        time.sleep(300)
    time.sleep(settings.get("seconds", 0))
    if settings.get("metrics"):
        run.metrics["accuracy"] = 0.5
    corpus = run.references.get("corpus", row)
    reads = {
        "clean": f"data/sources/{row}/records.csv",
        "split": f"data/clean/{row}/records.parquet",
        "finetune": f"data/split/{corpus}/train.parquet",
        "evaluate": f"data/finetune/{row}/model/weights",
    }[stage]
    writes = {
        "clean": ["records.parquet", "report.json"],
        "split": ["train.parquet"],
        "finetune": ["model/weights"],
        "evaluate": ["README.md", "metrics.json"],
    }[stage]
    content = f"{Path(reads).read_text()}{run.seed}{stage}{sorted(settings.items())}"
    digest = hashlib.md5(content.encode()).hexdigest()
    metrics = {"accuracy": 0.9, "intervals": {"accuracy": [0.85, 0.95]}, "gain": 0.02,
               "digest": digest, "baselines": {}}
    for name in writes:
        path = run.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = digest * settings.get("copies", 1)
        path.write_text(json.dumps(metrics) if name == "metrics.json" else weights)
"""


class StagePipeline(Pipeline):
    """The workspace in the current directory, its stages started as ours are."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.install_flows()
        self.write("toy.py", TOY)
        for stage in ("clean", "split", "finetune", "evaluate"):
            self.write(f"run_{stage}.py", f"from toy import main\nmain({stage!r})\n")
        text = DVC_YAML
        for stage in ("clean", "split", "finetune", "evaluate"):
            text = text.replace(f"stage.py {stage} ", f"run_{stage}.py ")
        self.write("dvc.yaml", text)

    def control(self, **wanted: str) -> None:
        """Say what becomes of stages, by ``stage_row``; nothing lets all end well."""
        by_name = {name.replace("_", "@"): what for name, what in wanted.items()}
        self.write("control.json", json.dumps(by_name))

    def events(self) -> list[str]:
        """Return what the stages' bodies have noted since the last call."""
        path = self.root / "events.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.strip() for line in lines]

    def begun(self) -> list[str]:
        """Return the stages whose bodies have begun since the last call."""
        return [line.split()[1] for line in self.events() if line.startswith("begin")]

    def wait_for(self, path: str, process: "subprocess.Popen[str]") -> None:
        """Wait until a stage of a run has made the file that says where it is."""
        while not (self.root / path).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Return all processes that work in this workspace."""
        return [process for process in psutil.process_iter() if _works_in(process, self.root)]

    def wait_for_silence(self, seconds: float = 15) -> None:
        """Wait until no process is left in this workspace."""
        until = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < until, [process.cmdline() for process in left]
            time.sleep(0.1)

    def held_locks(self) -> list[str]:
        """Return the leases and work locks that somebody holds."""
        held = []
        for path in sorted((self.root / ".downstream").glob("[dl]*s/*.lock")):
            try:
                FileLock(path, timeout=0).acquire()
            except Timeout:
                held.append(path.name)
        return held


def _works_in(process: psutil.Process, root: Path) -> bool:
    try:
        # This test's own process changes into the workspace too.
        return process.pid != psutil.Process().pid and Path(process.cwd()) == root
    except psutil.Error:
        return False
