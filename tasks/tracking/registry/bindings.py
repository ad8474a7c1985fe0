"""What a registered model is bound to: the hashes that ``dvc.lock`` has recorded for its row.

``dvc.lock`` and not the files as they lie there: a model that was restored, or is published later,
was made from what its own entries name.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tasks.contracts import paths
from tasks.contracts.lock import hashes, md5_of, read_lock, upstream_of

SPLIT = "downstream.split."
TEST_SPLIT = f"{SPLIT}test"
BACKBONE = "downstream.backbone"
CODE = "downstream.code."
MODEL_MD5 = "downstream.model_md5"
PINS = "downstream.pins"
"""The hash of the sources that it was made from, of each row with pins, as JSON; no tag without."""
EVALUATED = ("finetune", "evaluate")
"""The stages whose code is in a model and its metrics."""


def altered(stage: str, row: str, outputs: Collection[Path]) -> list[Path]:
    """Return those of some outputs of a stage that are not what ``dvc.lock`` has recorded.

    Args:
        stage: for example ``evaluate``.
        row: its row in ``params.yaml``.
        outputs: those that are looked at.
    """
    recorded = hashes(read_lock().get(f"{stage}@{row}", {}), "outs")
    known = (path for path in outputs if path.as_posix() in recorded)
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
    rows = {name.partition("@")[2] for name in upstream_of(lock, f"evaluate@{model}")}
    pins = {row: _sources(lock, row) for row in sorted(rows) if paths.pin(row).is_file()}
    return {**tags, PINS: json.dumps(pins)} if pins else tags


def _sources(lock: Mapping[str, dict[str, Any]], row: str) -> str | None:
    """Return the hash of a row's sources, their pins among them, as its result was recorded.

    That is in ``dvc.lock`` for a corpus, and in the fingerprint of a backbone that starts from a
    checkpoint: ``register`` itself must not open what it is not stale by.
    """
    folder = paths.sources(row).as_posix()
    recorded = hashes(lock.get(f"collect@{row}", {}), "deps").get(folder)
    code = paths.code("pretrain", row)
    if recorded is not None or not code.is_file():
        return recorded
    lines = (line.split() for line in code.read_text(encoding="utf-8").splitlines())
    return next((words[1] for words in lines if words[0].startswith(f"{folder}/")), None)


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
