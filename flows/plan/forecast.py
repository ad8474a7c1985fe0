"""The content every file will have when its stage's turn comes, known before anything has run.

A stage that stays as it is, or is restored from the run cache, leaves files of known content, so
whether its consumers change is known too (early cutoff, predicted). The output of a stage that has
to run is unknown. The ``code`` stage's files are computed in memory.
"""

from collections.abc import Mapping

from flows.dvc.contents import Content, content_on_disk, text_content
from flows.dvc.graph import CODE, Graph, Stage
from tasks.contracts import paths


class Forecast:
    """The predicted content of dependencies, filled in upstream first."""

    def __init__(self, graph: Graph, codes: Mapping[str, str]) -> None:
        self.repo = graph.repo
        self._makers = graph.makers
        self._outputs: dict[str, Content] = {}
        self._rewritten: set[str] = set()
        self._on_disk: dict[str, Content] = {}
        self.codes = {
            paths.code(*name.split("@", 1)).as_posix(): text for name, text in codes.items()
        }

    def on_disk(self, path: str) -> Content:
        """Return what a path holds now; each is hashed once for all stages that read it."""
        if path not in self._on_disk:
            self._on_disk[path] = content_on_disk(self.repo, path)
        return self._on_disk[path]

    def keep(self, stage: Stage) -> None:
        """Note that a stage's outputs stay as they lie on disk, which is as they are recorded."""
        for out in stage.outputs:
            self._outputs[out.path] = self.on_disk(out.path)

    def rewrite(self, stage: Stage, outputs: Mapping[str, Content] | None = None) -> None:
        """Note that a stage's outputs will be written anew.

        Args:
            stage: a stage.
            outputs: by path, what will be restored; none if the stage runs.
        """
        self._rewritten.add(stage.name)
        for out in stage.outputs:
            self._outputs.pop(out.path, None)
        self._outputs.update(outputs or {})

    def content(self, path: str) -> Content | None:
        """Return what a path will hold, or ``None`` where that is unknown yet."""
        if path in self.codes:
            return text_content(self.codes[path])
        if path in self._outputs:
            return self._outputs[path]
        if not self._rewritten.isdisjoint(self._makers.of(path)):
            return None
        return self.on_disk(path)

    def makers(self, path: str) -> list[str]:
        """Return which stages make a file, a folder around it, or files inside it."""
        return sorted(self._makers.of(path) - {CODE})
