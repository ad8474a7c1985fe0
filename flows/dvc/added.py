"""What was ``dvc add``ed: whether it lies there as its ``.dvc`` file says, told without DVC.

DVC's index costs seconds at some thousand stages, and a run with nothing to do needs none of it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from flows.dvc.contents import content_on_disk, is_cached
from flows.dvc.graph import Graph
from tasks.contracts.yaml12 import parse_yaml


def added_are_recorded(graph: Graph) -> bool:
    """Tell whether all that was ``dvc add``ed lies on disk and in DVC's cache as recorded.

    In doubt it says no, and DVC has to look.
    """
    return all(_is_recorded(graph, file) for file in _dvc_files(graph))


def _dvc_files(graph: Graph) -> Iterator[Path]:
    outputs = {out.path for stage in graph.stages.values() for out in stage.outputs}
    for folder, inside, names in os.walk("."):
        here = Path(folder)
        inside[:] = [
            name
            for name in inside
            if not name.startswith(".") and (here / name).as_posix() not in outputs
        ]
        yield from (here / name for name in names if name.endswith(".dvc"))


def _is_recorded(graph: Graph, file: Path) -> bool:
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
        if "deps" in content or "cmd" in content:
            return True  # fetched from elsewhere: nothing that a run brings up to date
        recorded = {out["path"]: (out["md5"], out.get("cache", True)) for out in content["outs"]}
        folder = file.parent / content.get("wdir", ".")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return False
    return all(
        content_on_disk(graph.repo, (folder / path).as_posix()).md5 == md5
        and (not cached or is_cached(graph.repo, md5))
        for path, (md5, cached) in recorded.items()
    )
