"""Parameter files as they are now, each parsed once, for a plan and for DVC's objects.

DVC parses ``params.yaml`` anew for each stage and each look at it, which is most of what ``dvc
status`` costs, and of what recording costs with hundreds of stages. ``params.yaml`` is read by our
own parser, which sees what DVC's does (there is a test); any other file (TOML, JSON, Python) by
DVC's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.dvc.graph import Stage
from flows.dvc.internals import load_parameter_file, serve_params
from tasks.contracts import paths
from tasks.contracts.files import Stamp, stamp
from tasks.contracts.params import read_params
from tasks.errors import BadSettings

if TYPE_CHECKING:
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo
    from dvc.stage import Stage as DvcStage


class ParameterFiles:
    """The parameter files of a workspace, parsed again only when they change."""

    def __init__(self, repo: "Repo") -> None:
        self._repo = repo
        self._files: dict[str, tuple[Stamp, Any]] = {}

    def of(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Return the values of a stage's parameters by file, then by tracked key, if it is there.

        Raises:
            BadSettings: ``params.yaml`` cannot be read.
        """
        values = {}
        for file, keys in stage.params.items():
            content = self._content(file) if Path(file).exists() else {}
            by_key = ((key, look_up(content, key)) for key in keys or content)
            values[file] = {key: value for key, value in by_key if value is not ABSENT}
        return values

    def serve(self, stages: Iterable["DvcStage"]) -> None:
        """Let DVC's stages read their parameters here."""
        for stage in stages:
            serve_params(stage, self._values)

    def _values(self, dependency: "ParamsDependency") -> dict[str, Any] | None:
        from dvc.utils.serialize import ParseError

        try:
            content = self._content(dependency.def_path)
        except (BadSettings, ParseError, OSError):
            return None  # DVC reads it itself, and says what is wrong with it
        values = {key: look_up(content, key) for key in dependency.params}
        # A key may also be a pattern, or the index in a list: DVC knows.
        return None if any(value is ABSENT for value in values.values()) else values

    def _content(self, file: str) -> Any:
        now = stamp(Path(file))
        known, content = self._files.get(file, (None, None))
        if known != now:
            is_ours = Path(file) == paths.PARAMS
            content = read_params() if is_ours else load_parameter_file(self._repo, file)
            self._files[file] = (now, content)
        return content


ABSENT = object()


def look_up(content: Any, key_path: str) -> Any:
    """Return the value under ``a.b.c``; ``ABSENT`` where there is none."""
    for key in key_path.split("."):
        if not isinstance(content, dict) or key not in content:
            return ABSENT
        content = content[key]
    return content
