"""NVIDIA's GPUs as their driver describes them, without importing torch."""

import re
import subprocess

LISTED = re.compile(r"^\s*(GPU|MIG) .*\(UUID: ([^)\s]+)\)", re.MULTILINE)
"""A line of ``nvidia-smi -L``."""


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


def list_gpus(timeout_seconds: float | None = None) -> dict[str, list[str]]:
    """Return what a process can be given of each GPU, by its UUID, in the driver's order.

    Args:
        timeout_seconds: how long a driver may take that hangs.

    Returns:
        By GPU, the UUIDs of the instances that it is divided into (MIG), or its own.
    """
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"],  # noqa: S607 - the driver's own program, wherever it is
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout_seconds,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    instances: dict[str, list[str]] = {}
    for kind, uuid in LISTED.findall(listed.stdout):
        if kind == "GPU":
            instances[uuid] = []
        elif instances:
            instances[list(instances)[-1]].append(uuid)
    return {gpu: parts or [gpu] for gpu, parts in instances.items()}
