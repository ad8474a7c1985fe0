"""Runs the ``run`` of one stage, with the code of the folder it is started in, and notes what ran.

``python driver.py request.json``, in a workspace of ``tasks.probe.workspace``. It is a script and
imports nothing of ours but the stage that it is asked for, so that the code of any earlier state
can be run: what that stage's ``run`` takes is asked of its signature.

It writes the sha256 of every output file, and the places in the source (line, end line, column, end
column) of every instruction of ``tasks`` that was executed, in all threads and all ranks.
"""

import builtins
import gc
import hashlib
import importlib
import inspect
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

EXECUTED = "DOWNSTREAM_PROBE_EXECUTED"
"""Where the ranks of a training, which are processes of their own, write what they executed."""
INTERRUPT = "DOWNSTREAM_PROBE_INTERRUPT"
"""After how many optimizer steps the training is stopped; what stopped it removes it."""


class Executed:
    """Which instructions of the code below a folder were executed.

    ``sys.monitoring`` (Python 3.12 and later) tells of each once and then never again; before that,
    every one is traced each time. (Python 3.13's tracing misses the first pass of a function.)
    """

    def __init__(self, folder: Path) -> None:
        self._prefix = f"{folder}{os.sep}"
        self._offsets: dict[CodeType, set[int]] = {}
        self._tracers: dict[CodeType, Callable[..., Any] | None] = {}
        self._imports = builtins.__import__, importlib.import_module
        self._monitoring: Any = getattr(sys, "monitoring", None)

    def start(self) -> None:
        """Watch this thread and all others, or those that it will start."""
        if self._monitoring is None:
            self._trace()
            return
        tool, events = self._monitoring.PROFILER_ID, self._monitoring.events
        self._monitoring.use_tool_id(tool, __name__)
        self._monitoring.register_callback(tool, events.PY_START, self._started)
        self._monitoring.register_callback(tool, events.INSTRUCTION, self._executed)
        self._monitoring.restart_events()  # what was told once would not be told again
        self._monitoring.set_events(tool, events.PY_START)

    def stop(self) -> None:
        """Watch no longer, if it did."""
        if self._monitoring is not None:
            if self._monitoring.get_tool(self._monitoring.PROFILER_ID) is None:
                return
            self._monitoring.set_events(self._monitoring.PROFILER_ID, 0)
            for code in self._offsets:
                self._monitoring.set_local_events(self._monitoring.PROFILER_ID, code, 0)
            self._monitoring.free_tool_id(self._monitoring.PROFILER_ID)
            return
        sys.settrace(None)
        threading.settrace(None)
        builtins.__import__, importlib.import_module = self._imports

    def _started(self, code: CodeType, _offset: int) -> Any:
        if code.co_filename.startswith(self._prefix):
            self._offsets.setdefault(code, set())
            instruction = self._monitoring.events.INSTRUCTION
            self._monitoring.set_local_events(self._monitoring.PROFILER_ID, code, instruction)
        return self._monitoring.DISABLE

    def _executed(self, code: CodeType, offset: int) -> Any:
        self._offsets[code].add(offset)
        return self._monitoring.DISABLE

    def _trace(self) -> None:
        """Trace this thread and those that it will start.

        Not while a library is imported: most calls of a short run are those of torch's import.
        """
        builtins.__import__ = self._unwatched(self._imports[0])
        importlib.import_module = self._unwatched(self._imports[1])
        threading.settrace(self._entered)
        sys.settrace(self._entered)

    def _unwatched(self, load: Callable[..., Any]) -> Callable[..., Any]:
        def unwatched(name: str, *arguments: Any, **named: Any) -> Any:
            if name in sys.modules or name.partition(".")[0] in ("", "tasks") or not sys.gettrace():
                return load(name, *arguments, **named)
            sys.settrace(None)
            try:
                return load(name, *arguments, **named)
            finally:
                sys.settrace(self._entered)

        return unwatched

    def places(self) -> dict[str, list[list[int]]]:
        """Return the places of the executed instructions, by file below the folder's parent."""
        found: dict[str, set[tuple[int, ...]]] = {}
        for code, offsets in list(self._offsets.items()):
            positions = list(code.co_positions())
            file = os.path.relpath(code.co_filename, Path(self._prefix).parent)
            for offset in list(offsets):
                line, end, column, end_column = positions[offset // 2]
                if None not in (line, end, column, end_column):
                    place = (line, end, column, end_column)
                    found.setdefault(file, set()).add(place)  # type: ignore[arg-type]
        return {file: sorted(map(list, places)) for file, places in sorted(found.items())}

    def _entered(self, frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if code not in self._tracers:
            self._tracers[code] = self._tracer(code)
        tracer = self._tracers[code]
        if tracer is not None:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return tracer

    def _tracer(self, code: CodeType) -> Callable[..., Any] | None:
        if not code.co_filename.startswith(self._prefix):
            return None
        add = self._offsets.setdefault(code, set()).add

        def traced(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
            if event == "opcode":
                add(frame.f_lasti)
            return traced

        return traced


def main(request: dict[str, Any]) -> None:
    """Run the stage, stopped once and gone on from its checkpoint where it trains."""
    root = Path.cwd()
    folder = root / "executed"
    folder.mkdir()
    os.environ[EXECUTED] = str(folder)
    if request["interrupt_at"]:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        os.environ[INTERRUPT] = str(request["interrupt_at"])
        _interrupt_after_steps(os.getpid())
    executed = Executed(root / "tasks")
    if request["is_watched"]:
        executed.start()
    settings_module = importlib.import_module(f"tasks.{request['stage']}.settings")
    stage_module = importlib.import_module(f"tasks.{request['stage']}.stage")
    settings = settings_module.Settings.parse(request["settings"], request["where"])
    output, checkpoints = Path(request["output"]), Path(request["checkpoints"])
    values = {
        **{name: _value(value) for name, value in request["arguments"].items()},
        "output": output,
        "settings": settings,
        "seed": request["seed"],
        "checkpoints": checkpoints,
        "journal": None,
    }
    arguments = {name: values[name] for name in inspect.signature(stage_module.run).parameters}
    for _ in range(2):
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        try:
            stage_module.run(**arguments)
            break
        except Exception as error:
            if type(error).__name__ != "Preempted":
                raise
    executed.stop()
    (folder / f"{os.getpid()}.json").write_text(json.dumps(executed.places()))
    outputs = {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }
    places: dict[str, set[tuple[int, ...]]] = {}
    for part in folder.glob("*.json"):
        for file, found in json.loads(part.read_text()).items():
            places.setdefault(file, set()).update(map(tuple, found))
    result = {
        "files": outputs,
        "executed": {file: sorted(map(list, found)) for file, found in sorted(places.items())},
    }
    Path(request["result"]).write_text(json.dumps(result))


def _value(value: Any) -> Any:
    """Return an argument of the request: a text, ``{"path": …}`` or ``{"paths": {name: …}}``."""
    if not isinstance(value, dict):
        return value
    if "path" in value:
        return Path(value["path"])
    return {name: Path(path) for name, path in value["paths"].items()}


def _interrupt_after_steps(process: int) -> None:
    """Send SIGTERM to a process after so many optimizer steps, once."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    left = [int(os.environ[INTERRUPT])]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0 and os.environ.get("RANK", "0") == "0":
            os.kill(process, signal.SIGTERM)

    register_optimizer_step_post_hook(count)


def _in_rank() -> None:
    """Watch a rank of the training that ``main`` has started; it ends in the launcher's way."""
    from multiprocessing.util import Finalize

    executed = Executed(Path.cwd() / "tasks")
    executed.start()

    def write() -> None:
        executed.stop()
        path = Path(os.environ[EXECUTED]) / f"{os.getpid()}.json"
        path.write_text(json.dumps(executed.places()))

    Finalize(None, write, exitpriority=1)


def _die_with_parent() -> None:
    """End when what started this ends, however that is: it holds the device."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ in ("__main__", "__mp_main__"):
    gc.set_threshold(10_000, 100, 100)  # as of the stages (tasks/interpreter.py), for their imports
    # Neither the script's own folder nor an installed copy comes before the workspace.
    sys.path[:] = [str(Path.cwd()), *(path for path in sys.path if path != sys.path[0])]
    if __name__ == "__main__":
        _die_with_parent()
        main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    elif EXECUTED in os.environ:
        _in_rank()
