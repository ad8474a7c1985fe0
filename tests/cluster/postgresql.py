"""A PostgreSQL server of its own, of Debian's package, that asks for a password."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

USER, PASSWORD = "downstream", "a secret of these tests"


class Postgresql:
    """A server with an empty cluster of databases; it can be stopped and started again."""

    def __init__(self, port: int) -> None:
        """Make the cluster, and start it."""
        self.port = port
        (self._programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        # It refuses to run as root, and wants a folder of its own.
        self._root = Path(tempfile.mkdtemp(prefix="postgresql-"))
        password = self._root / "password"
        password.write_text(PASSWORD)
        if os.getuid() == 0:
            shutil.chown(self._root, "postgres")
            shutil.chown(password, "postgres")
        access = ("--auth=scram-sha-256", f"--pwfile={password}")
        self._run("initdb", f"--pgdata={self._root}/data", f"--username={USER}", *access)
        self.start()

    def environment(self) -> dict[str, str]:
        """Return what its clients are told by."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PATH": f"{self._programs}:{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._root} -c listen_addresses=127.0.0.1 -c fsync=off"
        data, log = f"--pgdata={self._root}/data", f"--log={self._root}/log"
        self._run("pg_ctl", data, log, f"--options={options}", "--wait", "start")

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        self._run("pg_ctl", f"--pgdata={self._root}/data", "--mode=fast", "--wait", "stop")

    def remove(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def client(self, *command: str) -> None:
        """Run one of its programs as its user."""
        subprocess.run(command, env={**os.environ, **self.environment()}, check=True, timeout=120)

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        with (Path(tempfile.gettempdir()) / f"{self._root.name}.out").open("ab") as out:
            subprocess.run(
                [*as_user, str(self._programs / program), *arguments],
                cwd="/",
                stdout=out,
                stderr=out,
                check=True,
                timeout=120,
            )
