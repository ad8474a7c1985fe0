"""The work: one folder a stage, and the rooms that several stages share.

``collect``, ``clean``, ``split``, ``validate``, ``pretrain``, ``finetune``, ``evaluate`` and
``register`` are the stages, ``code`` is the one that writes fingerprints. The rooms beside them:

- ``stage_process``: how does one stage start, hold and end?
- ``fingerprint``: which code does a row run?
- ``inputs``: how do records become tensors?
- ``models``: what is a model?
- ``objectives``: what can be learnt?
- ``training``: how is it learnt, one step after another?
- ``metrics``: how good is a model, and how sure is that?
- ``reports``: how does a page for people look?
- ``promotion``: who becomes champion?
- ``tracking``: what is MLflow told?
- ``remote``: what comes from outside?
- ``contracts``: what crosses the border between two stages?
- ``machine``: what do git, the user, the libraries and the driver say?
- ``errors``, ``progress``, ``parent``: mistakes of the user, lines for people, whose end is ours
"""

import importlib.util
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# While `-m` looks for its module, argv[0] is "-m" (Python's manual, "Command line and
# environment"); whoever else imports `tasks` stays the process that it is.
_STARTED = sys.orig_argv[sys.orig_argv.index("-m") + 1] if sys.argv[:1] == ["-m"] else ""

# `dvc.yaml` says `python`, and its command is a part of every result's identity. Where `.venv` is
# not activated, that is a Python without the project's packages, and `.venv/bin/dvc repro` would
# fail at a stage's first import: so `python -m tasks.<stage>` starts again with the project's own.
if _STARTED and importlib.util.find_spec("grimp") is None:
    _PYTHON = _ROOT / ".venv" / "bin" / "python"
    # Once: an environment that was not installed to its end lacks the packages too.
    if _PYTHON.exists() and sys.executable != str(_PYTHON):
        os.execv(_PYTHON, [str(_PYTHON), *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted

# An installed package comes first where Python leaves the current directory out: another clone's
# code would run, and be recorded as this one's.
_HERE = Path("tasks")
if _STARTED.startswith("tasks.") and _HERE.is_dir() and not _HERE.samefile(_ROOT / "tasks"):
    sys.exit(
        f"error: Python imports {_ROOT / 'tasks'}, not the code of {Path.cwd()}: unset "
        "PYTHONSAFEPATH, and leave out Python's options -P and -I"
    )

# A stage, and the processes that it starts, import everything else from a copy.
_IS_STAGE = bool(_STARTED) and _ROOT.joinpath(*_STARTED.split("."), "__main__.py").is_file()
if "DOWNSTREAM_SNAPSHOT" in os.environ or (_IS_STAGE and "DOWNSTREAM_DEBUG" not in os.environ):
    from tasks.stage_process import snapshot

    try:
        snapshot.begin(_ROOT)
    except OSError as _error:
        sys.exit(f"error: the code could not be copied: {_error}: make room, or make it writable")
