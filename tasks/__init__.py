"""The work: one folder a stage, and the rooms that several stages share."""

import importlib.util
import os
import sys
from pathlib import Path

# `dvc.yaml` says `python`. Where `.venv` is not activated, that is a Python without the project's
# packages: `.venv/bin/dvc repro` would then fail at the first import.
_INTERPRETER = Path(__file__).parents[1] / ".venv" / "bin" / "python"
if importlib.util.find_spec("grimp") is None and _INTERPRETER.exists():
    os.execv(_INTERPRETER, [str(_INTERPRETER), *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted
