"""Parameter files, parsed once for all stages and again only when they change.

DVC parses ``params.yaml`` anew for each stage and each look at it, some eight times a stage that
runs: with hundreds of stages that is most of what recording them costs. The parser is DVC's own.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tasks.contracts.files import Stamp, stamp


class ParamsOnce:
    """The content of parameter files as they are now."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Stamp, Any]] = {}

    def serve(self, stages: Iterable[Any]) -> None:
        """Let the parameter dependencies of DVC stages read here."""
        from dvc.dependency import ParamsDependency

        for stage in stages:
            for dependency in stage.deps:
                if isinstance(dependency, ParamsDependency):
                    dependency.read_params = partial(self._read, dependency)

    def _read(self, dependency: Any, flatten: bool = True) -> dict[str, Any]:
        """Do what ``ParamsDependency.read_params`` does."""
        content = self._content(dependency) if dependency.params and flatten else None
        if content is None:
            return type(dependency).read_params(dependency, flatten=flatten)
        values = {key: look_up(content, key) for key in dependency.params}
        if any(value is ABSENT for value in values.values()):
            # A key may also be a pattern, or the place in a list: DVC knows.
            return type(dependency).read_params(dependency)
        return values

    def _content(self, dependency: Any) -> Any:
        from dvc.utils.serialize import ParseError, load_path

        path = dependency.fs_path
        now = stamp(Path(path))
        known, content = self._files.get(path, (None, None))
        if known != now:
            try:
                content = load_path(path, dependency.repo.fs)
            except (ParseError, OSError):
                return None  # DVC reads it itself, and says what is wrong with it
            self._files[path] = (now, content)
        return content


ABSENT = object()


def look_up(content: Any, key_path: str) -> Any:
    """Return the value under ``a.b.c``; ``ABSENT`` where there is none."""
    for key in key_path.split("."):
        if not isinstance(content, dict) or key not in content:
            return ABSENT
        content = content[key]
    return content
