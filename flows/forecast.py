"""The content every file will have when its stage's turn comes, known before anything has run.

A stage that stays as it is, or is restored from the run cache, leaves files of known content, so
whether its consumers change is known too (early cutoff, predicted). The output of a stage that has
to run is unknown. The ``code`` stage's files are computed in memory.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from flows.graph import CODE, Graph, stage_name
from tasks.contracts import paths


class Content(NamedTuple):
    """What a file or folder holds, in DVC's terms."""

    hash_info: Any
    meta: Any

    @property
    def md5(self) -> str | None:
        """The hash as ``dvc.lock`` writes it; null where there is nothing."""
        return self.hash_info.value if self.hash_info else None


class Forecast:
    """The predicted content of dependencies, filled in upstream first."""

    def __init__(self, graph: Graph, codes: Mapping[str, str]) -> None:
        self._graph = graph
        self._outputs: dict[str, Content | None] = {}
        self._rewritten: set[str] = set()
        self.codes = {
            paths.code(*name.split("@", 1)).as_posix(): text for name, text in codes.items()
        }

    def keep(self, stage: Any) -> None:
        """Note that a stage's outputs stay as they lie on disk, which is as they are recorded."""
        for out in stage.outs:
            self._outputs[out.def_path] = Content(out.hash_info, out.meta)

    def rewrite(self, stage: Any, outputs: Iterable[Any] = ()) -> None:
        """Note that a stage's outputs will be written anew.

        Args:
            stage: a DVC stage.
            outputs: DVC outputs with the hashes that will be restored; none if the stage runs.
        """
        for out in stage.outs:
            self._outputs[out.def_path] = None
            self._rewritten.add(out.def_path)
        for out in outputs:
            self._outputs[out.def_path] = Content(out.hash_info, out.meta)

    def content(self, dependency: Any) -> Content | None:
        """Return what a dependency will hold, or ``None`` where that is unknown yet."""
        path = dependency.def_path
        if path in self.codes:
            return text_content(self.codes[path])
        if path in self._outputs:
            return self._outputs[path]
        if any(_overlap(made, path) for made in self._rewritten):
            return None
        return content_on_disk(dependency)

    def makers(self, stage: Any, path: str) -> list[str]:
        """Return which stages directly upstream make the file, or files inside the folder."""
        return [
            name
            for name in self._graph.upstream[stage_name(stage)]
            if name != CODE
            and any(_overlap(out.def_path, path) for out in self._graph.stages[name].outs)
        ]


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}{os.sep}") or other.startswith(f"{one}{os.sep}")


def nothing() -> Content:
    """Return the content of a file that is not there."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta

    return Content(HashInfo(), Meta())


def content_on_disk(item: Any) -> Content:
    """Hash a dependency or output as it lies there (DVC remembers hashes of unchanged files)."""
    if not item.exists:
        return nothing()
    meta, hash_info = item._get_hash_meta()
    return Content(hash_info, meta)


def text_content(text: str) -> Content:
    """Return the content of a file that would hold ``text``."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta

    data = text.encode("utf-8")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Content(HashInfo("md5", md5), Meta(size=len(data)))
