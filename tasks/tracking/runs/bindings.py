"""What a registered model is bound to: the hashes that ``dvc.lock`` has recorded for its row.

``dvc.lock`` and not the files as they lie there: a model that was restored, or is published later,
was made from what its own entries name.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tasks.contracts import paths
from tasks.contracts.lock import read_lock

SPLIT = "downstream.split."
TEST_SPLIT = f"{SPLIT}test"
BACKBONE = "downstream.backbone"
CODE = "downstream.code."
MODEL_MD5 = "downstream.model_md5"
EVALUATED = ("finetune", "evaluate")
"""The stages whose code is in a model and its figures."""


def hashes(entry: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return DVC's hash of each file or folder of an entry.

    Args:
        entry: a stage of ``dvc.lock``.
        kind: ``deps`` or ``outs``.
    """
    return {item["path"]: item["md5"] for item in entry.get(kind, []) if "md5" in item}


def md5_of(path: Path) -> str | None:
    """Return the hash that DVC gives a file or folder as it lies there; None if it does not."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    if not path.is_dir():
        return None
    found = sorted(item for item in path.rglob("*") if item.is_file())
    names = {item.relative_to(path).as_posix(): md5_of(item) for item in found}
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(names.items())]
    return f"{md5_of_text(json.dumps(listed, sort_keys=True))}.dir"


def md5_of_text(text: str) -> str:
    """Return the hash that DVC gives a file with this text: it tells changes, no more."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def altered(stage: str, row: str, some: Collection[Path]) -> list[Path]:
    """Return those of some outputs of a stage that are not what ``dvc.lock`` has recorded."""
    recorded = hashes(read_lock().get(f"{stage}@{row}", {}), "outs")
    known = (path for path in some if path.as_posix() in recorded)
    return [path for path in known if recorded[path.as_posix()] != md5_of(path)]


def bindings(model: str) -> dict[str, str]:
    """Return a version's tags of data, backbone and code, as far as ``dvc.lock`` has them."""
    lock = read_lock()
    tags = {}
    for stage in EVALUATED:
        entry = lock.get(f"{stage}@{model}", {})
        for path, md5 in hashes(entry, "deps").items():
            tags.update(_tag(Path(path), md5, stage))
        model_md5 = hashes(entry, "outs").get(paths.finetuned(model).as_posix())
        if model_md5:
            tags[MODEL_MD5] = model_md5
    return tags


def gate_of(model: str) -> Path | None:
    """Return the verdict of ``validate`` that a model's finetuning depended on, if recorded."""
    deps = hashes(read_lock().get(f"finetune@{model}", {}), "deps")
    gates = (Path(path) for path in deps if path.startswith(f"{paths.DATA}/validate/"))
    return next(gates, None)


def _tag(path: Path, md5: str, stage: str) -> dict[str, str]:
    folder = path.parts[1] if len(path.parts) > 2 else ""
    if folder == "split":
        return {SPLIT + path.stem: md5}
    if folder == "pretrain":
        return {BACKBONE: f"{path.parts[2]} {md5}"}
    if folder == "code":
        return {CODE + stage: md5}
    return {}
