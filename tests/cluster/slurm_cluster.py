"""SLURM on this machine: a controller and two nodes that are so by configuration alone."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
KillWait=10
MinJobAge=300
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=1000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """munge's daemon, the controller and both nodes' daemons; all of them end with ``stop``."""

    def __init__(self, root: Path, ports: tuple[int, int, int]) -> None:
        self.root = root
        for folder in ("state", "spool-n1", "spool-n2"):
            (root / folder).mkdir()
        key = root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        controller, first, second = ports
        host = socket.gethostname().partition(".")[0]
        self.configuration = root / "slurm.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                root=root, host=host, controller=controller, first=first, second=second
            )
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        munge = f"--key-file={key} --socket={root}/munge.socket --pid-file={root}/munge.pid"
        seed = f"--log-file={root}/munge.log --seed-file={root}/munge.seed"
        self._start("munged", "--foreground", "--force", *munge.split(), *seed.split())
        self._wait((root / "munge.socket").exists, "munged")
        self.start_controller()
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node)
        self._wait(lambda: self("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", "slurmd")

    def start_controller(self) -> None:
        """Start the controller, which goes on from the state it has kept."""
        self.controller = self._start("slurmctld", "-D")

    def stop_controller(self) -> None:
        """End the controller; jobs go on."""
        self.controller.terminate()  # killed, it would forget its last seconds
        self.controller.wait(30)

    def environment(self) -> dict[str, str]:
        """Return what a process needs to find this cluster."""
        return {"SLURM_CONF": str(self.configuration)}

    def __call__(self, *command: str) -> str:
        """Run one of SLURM's commands; return what it prints, whatever its exit code."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    def stop(self) -> None:
        """End all of it."""
        self("scancel", "--me")
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert path, f"{program} is missing: `make test-cluster` installs it"
        with (self.root / f"{program}.out").open("ab") as out:
            process = subprocess.Popen(
                [path, *arguments],
                env={**os.environ, **self.environment()},
                stdout=out,
                stderr=out,
            )
        self._processes.append(process)
        return process

    def _wait(self, ready: Callable[[], object], what: str) -> None:
        until = time.monotonic() + 90
        while not ready():
            assert time.monotonic() < until, f"{what}: {self('sinfo')}; logs in {self.root}"
            time.sleep(0.2)
