"""A workspace whose ``dvc.lock`` leads from a registered model back to its sources."""

from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import files, paths
from tasks.contracts.lock import md5_of

MODEL, BACKBONE, CORPUS = "digits", "net", "numbers"
PINS = {"sklearn:digits": {"revision": "1.8.0", "sha256": "ab" * 32}}


def lay_chain() -> None:
    """Write what the stages write, as far as lineage reads it, into the current folder."""
    _save_model(paths.finetuned(MODEL))
    files.write_json(paths.pin(CORPUS), PINS)
    for path in (paths.collected(CORPUS), paths.cleaned(CORPUS)):
        files.write_text(path, f"records of {path}")
    for part in paths.PARTS:
        files.write_text(paths.split(CORPUS, part), f"records to {part}")
    files.write_json(paths.gate(CORPUS), {"passed": True})
    files.write_text(paths.pretrained(BACKBONE) / "model.safetensors", "weights")
    evidence = paths.stage_output("evaluate", MODEL)
    files.write_json(evidence / "metrics.json", {"accuracy": 0.9})
    for name in ("predictions.parquet", "README.md", "README.html"):
        files.write_text(evidence / name, f"the content of {name}")
    content_hash = files.sha256_of_folder(paths.finetuned(MODEL))
    gates = {"passed": True, "missed": []}
    files.write_json(paths.version(MODEL), {"content_hash": content_hash, "gates": gates})
    write_lock()


def _save_model(folder: Path) -> None:
    import torch

    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    torch.manual_seed(0)
    settings = convnet.Settings(channels=8, hidden_size=8)
    ImageModel(convnet.build(settings, ImageTraits(1, 8, 8)), ["a", "b"]).save(folder)


def write_lock() -> None:
    """Write ``dvc.lock`` for the files as they lie there."""
    splits = {part: paths.split(CORPUS, part) for part in paths.PARTS}
    trained_on = [splits["train"], splits["validation"], paths.gate(CORPUS)]
    evidence = paths.stage_output("evaluate", MODEL)
    parts = ("metrics.json", "predictions.parquet", "README.md", "README.html")
    model, backbone = paths.finetuned(MODEL), paths.pretrained(BACKBONE)
    found = [evidence / name for name in parts]
    stages = [
        _entry("collect", CORPUS, [paths.sources(CORPUS)], [paths.collected(CORPUS)]),
        _entry("clean", CORPUS, [paths.collected(CORPUS)], [paths.cleaned(CORPUS)]),
        _entry("split", CORPUS, [paths.cleaned(CORPUS)], [*splits.values()]),
        _entry("validate", CORPUS, [*splits.values()], [paths.gate(CORPUS)]),
        _entry("pretrain", BACKBONE, trained_on, [backbone]),
        _entry("finetune", MODEL, [*trained_on, backbone], [model]),
        _entry("evaluate", MODEL, [model, splits["test"]], found),
        _entry("register", MODEL, [model, found[0]], [paths.version(MODEL)]),
    ]
    lock = {"schema": "2.0", "stages": dict(stages)}
    files.write_text(Path("dvc.lock"), yaml.safe_dump(lock, sort_keys=False))


def _entry(stage: str, row: str, deps: list[Path], outs: list[Path]) -> tuple[str, dict[str, Any]]:
    code = paths.code(stage, row)
    if not code.exists():
        files.write_text(code, f"tasks.{stage} as it was\n")
    listed = {"deps": [code, *deps], "outs": outs}
    hashes = {
        kind: [{"path": path.as_posix(), "hash": "md5", "md5": md5_of(path)} for path in items]
        for kind, items in listed.items()
    }
    return f"{stage}@{row}", {"cmd": f"exec python -m tasks.{stage} {row}", **hashes}
