"""The work: one folder a stage, and the rooms that several stages share."""

import importlib.util
import os
import sys
from pathlib import Path

# `dvc.yaml` says `python`, and its command is a part of every result's identity. Where `.venv` is
# not activated, that is a Python without the project's packages, and `.venv/bin/dvc repro` would
# fail at a stage's first import: so `python -m tasks.<stage>` starts again with the project's own.
# Only that: while `-m` looks for its module, argv[0] is "-m" (Python's manual, "Command line and
# environment"); whoever else imports `tasks` stays the process that it is.
if sys.argv[:1] == ["-m"] and importlib.util.find_spec("grimp") is None:
    _PYTHON = Path(__file__).parents[1] / ".venv" / "bin" / "python"
    if _PYTHON.exists():
        os.execv(_PYTHON, [str(_PYTHON), *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted
