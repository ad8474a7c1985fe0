"""The present values of tracked parameters, each file parsed once for all stages.

DVC itself parses ``params.yaml`` anew for every stage, which is most of what ``dvc status`` costs.
The parser is DVC's own, since both must see the same values.
"""

from pathlib import Path
from typing import Any

_ABSENT = object()


class TrackedParams:
    """Parameter files as they are now."""

    def __init__(self) -> None:
        self._files: dict[str, Any] = {}

    def of(self, stage: Any) -> dict[str, dict[str, Any]]:
        """Return the values of a stage's parameters: by file, then by tracked key."""
        from dvc.dependency import ParamsDependency

        return {
            dependency.def_path: self._values(dependency)
            for dependency in stage.deps
            if isinstance(dependency, ParamsDependency)
        }

    def _values(self, dependency: Any) -> dict[str, Any]:
        from dvc.utils.serialize import load_path

        path = dependency.fs_path
        if path not in self._files:
            self._files[path] = load_path(path, dependency.fs) if Path(path).exists() else {}
        content = self._files[path]
        values = ((key, _look_up(content, key)) for key in dependency.params or content)
        return {key: value for key, value in values if value is not _ABSENT}


def _look_up(content: Any, key_path: str) -> Any:
    for key in key_path.split("."):
        if not isinstance(content, dict) or key not in content:
            return _ABSENT
        content = content[key]
    return content
