"""Which Python, and which copy of the code, a process ``python -m tasks.<stage>`` is started with.

``tasks/__init__.py`` calls this first of all. Nothing of it reaches a result, and it is not hashed.
"""

import gc
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLLECTED_AFTER = (10_000, 100, 100)
"""How many new objects Python looks at for unreachable ones together, and how often at older ones;
its own numbers are 700, 10 and 10. What an import makes stays: of a stage that trains, torch,
transformers and MLflow make a million objects, and looking at all of them again and again took a
fifth of the time of its imports."""


def begin() -> None:
    """Make sure of the project's packages, of this clone's code, and of a copy of it.

    While `-m` looks for its module, argv[0] is "-m" (Python's manual, "Command line and
    environment"); whoever else imports `tasks` stays the process that it is.
    """
    started = sys.orig_argv[sys.orig_argv.index("-m") + 1] if sys.argv[:1] == ["-m"] else ""
    if started and importlib.util.find_spec("grimp") is None:
        _start_again_with_packages()
    if started.startswith("tasks."):
        _refuse_another_clone()
    if started.startswith("tasks.") or "DOWNSTREAM_SNAPSHOT" in os.environ:
        gc.set_threshold(*COLLECTED_AFTER)
    # A stage, and the processes that it starts, import everything else from a copy.
    is_stage = bool(started) and ROOT.joinpath(*started.split("."), "__main__.py").is_file()
    if "DOWNSTREAM_SNAPSHOT" in os.environ or (is_stage and "DOWNSTREAM_DEBUG" not in os.environ):
        from tasks.stage_process import snapshot

        try:
            snapshot.begin(ROOT)
        except OSError as error:
            sys.exit(
                f"error: the code could not be copied: {error}: make room, or make it writable"
            )


def _start_again_with_packages() -> None:
    """Go on as the project's own Python.

    `dvc.yaml` says `python`, and its command is a part of every result's identity. Where `.venv` is
    not activated, that is a Python without the project's packages, and `.venv/bin/dvc repro` would
    fail at a stage's first import.
    """
    python = ROOT / ".venv" / "bin" / "python"
    # Once: an environment that was not installed to its end lacks the packages too.
    if python.exists() and sys.executable != str(python):
        os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted


def _refuse_another_clone() -> None:
    """End where another clone's code would run, and be recorded as this one's.

    An installed package comes first where Python leaves the current directory out.
    """
    here = Path("tasks")
    if here.is_dir() and not here.samefile(ROOT / "tasks"):
        sys.exit(
            f"error: Python imports {ROOT / 'tasks'}, not the code of {Path.cwd()}: unset "
            "PYTHONSAFEPATH, and leave out Python's options -P and -I"
        )
