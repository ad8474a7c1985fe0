"""NVIDIA's GPUs as their driver describes them, without importing torch."""

import subprocess


def query_gpus(
    columns: str, only: str = "", timeout_seconds: float | None = None
) -> list[list[str]]:
    """Ask ``nvidia-smi``.

    Args:
        columns: what to ask for, as ``--query-gpu`` names it, with commas between.
        only: indexes or UUIDs with commas between; empty asks for all.
        timeout_seconds: how long a driver may take that hangs.

    Returns:
        The cells of each GPU; nothing where there is no driver, or it does not answer.
    """
    command = ["nvidia-smi", f"--query-gpu={columns}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(  # noqa: S603 - the driver's own program, wherever it is
            [*command, *([f"--id={only}"] if only else [])],
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout_seconds,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [[cell.strip() for cell in line.split(",")] for line in listed.stdout.splitlines()]
