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

# `dvc.yaml` says `python`, and its command is a part of every result's identity. Where `.venv` is
# not activated, that is a Python without the project's packages, and `.venv/bin/dvc repro` would
# fail at a stage's first import: so `python -m tasks.<stage>` starts again with the project's own.
# Only that: while `-m` looks for its module, argv[0] is "-m" (Python's manual, "Command line and
# environment"); whoever else imports `tasks` stays the process that it is.
if sys.argv[:1] == ["-m"] and importlib.util.find_spec("grimp") is None:
    _PYTHON = Path(__file__).parents[1] / ".venv" / "bin" / "python"
    # Once: an environment that was not installed to its end lacks the packages too.
    if _PYTHON.exists() and sys.executable != str(_PYTHON):
        os.execv(_PYTHON, [str(_PYTHON), *sys.orig_argv[1:]])  # noqa: S606 - no shell wanted
