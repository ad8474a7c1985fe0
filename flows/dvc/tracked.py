"""The present values of tracked parameters, each file parsed once for all stages.

DVC itself parses ``params.yaml`` anew for every stage, which is most of what ``dvc status`` costs.
``params.yaml`` is read by our own parser, which sees what DVC's does (there is a test); any other
parameter file (TOML, JSON, Python) by DVC's.
"""

from pathlib import Path
from typing import Any

from flows.dvc.declared import Stage
from tasks.contracts import paths
from tasks.contracts.params import read_params

_ABSENT = object()


class TrackedParams:
    """Parameter files as they are now."""

    def __init__(self, repo: Any) -> None:
        self._repo = repo
        self._files: dict[str, Any] = {}

    def of(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Return the values of a stage's parameters: by file, then by tracked key."""
        return {file: self._values(file, keys) for file, keys in stage.params.items()}

    def _values(self, file: str, keys: list[str]) -> dict[str, Any]:
        content = self._content(file)
        values = ((key, _look_up(content, key)) for key in keys or content)
        return {key: value for key, value in values if value is not _ABSENT}

    def _content(self, file: str) -> Any:
        if file not in self._files:
            self._files[file] = _read(file, self._repo) if Path(file).exists() else {}
        return self._files[file]


def _read(file: str, repo: Any) -> Any:
    if Path(file) == paths.PARAMS:
        return read_params()
    from dvc.utils.serialize import load_path

    return load_path(file, repo.fs)


def _look_up(content: Any, key_path: str) -> Any:
    for key in key_path.split("."):
        if not isinstance(content, dict) or key not in content:
            return _ABSENT
        content = content[key]
    return content
