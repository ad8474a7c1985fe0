"""What machine and process do while a stage runs, by the names that MLflow's own pages show."""

from __future__ import annotations

import os
from contextlib import suppress

from tasks.contracts.gpus import query_gpus

PREFIX = "system/"
MEGABYTE = 1e6
GPU_TIMEOUT_SECONDS = 5


def figures() -> dict[str, float]:
    """Return CPU, memory and, where there are any, GPUs; shares of time since the call before."""
    import psutil  # type: ignore[import-untyped]

    memory = psutil.virtual_memory()
    return {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / MEGABYTE,
        "system_memory_usage_percentage": memory.percent,
        "stage_memory_usage_megabytes": _own_memory() / MEGABYTE,
        **_gpus(),
    }


def start_of_process() -> float:
    """Return when this process began, in seconds since 1970."""
    import psutil

    started: float = psutil.Process().create_time()
    return started


def _own_memory() -> int:
    """Return the bytes that this process and its ranks hold in memory."""
    import psutil

    process = psutil.Process()
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # it has ended meanwhile
            total += one.memory_info().rss
    return total


def _gpus() -> dict[str, float]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "":
        return {}
    columns = "utilization.gpu,memory.used,memory.total"
    rows = query_gpus(columns, only=visible or "", timeout_seconds=GPU_TIMEOUT_SECONDS)
    try:
        values = [[float(cell) for cell in row] for row in rows]
    except ValueError:
        return {}
    found = {}
    for number, (busy, used, total) in enumerate(values):
        found[f"gpu_{number}_utilization_percentage"] = busy
        found[f"gpu_{number}_memory_usage_megabytes"] = used * 2**20 / MEGABYTE
        found[f"gpu_{number}_memory_usage_percentage"] = 100 * used / total
    return found
