"""``params.yaml``: read, checked, and made into fingerprints; what is taken is what DVC sees."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import Kind, Wrong

ROOT = Path(__file__).parents[2]
MORE = """\
  others:
    collect:
      sources:
        - {kind: url, urls: {train: 'https://example.invalid/a.csv'}, maximum_megabytes: 5}
        - {kind: hub, id: someone/set, revision: main, splits: {train: train}, image: picture}
        - {kind: wheel, package: tiny-data, version: '1.0', members: ['a/*.tab'], header_rows: 3}
    clean: {repair: false, normalize: NFKC, size: [8, 8], mode: L}
    split: {validation: 0.1, test: 0.2}
    validate: {maximum_leaked_share: 0.5}
"""


def plant(folder: Path) -> None:
    """Write two valid files."""
    from tests.workspace import PARAMS

    default = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (folder / "default.yaml").write_text(default, encoding="utf-8")
    small = PARAMS.replace("backbones:\n", f"{MORE}backbones:\n", 1)
    (folder / "small.yaml").write_text(small, encoding="utf-8")


def prepare(planted: Path) -> None:
    """Import what is used, and read this checkout's code once."""
    import dvc.utils.serialize  # noqa: F401

    from tasks.contracts.params import check_params, read_params
    from tasks.fingerprint.rows import fingerprints

    for path in sorted(planted.glob("*.yaml")):
        params = read_params(path)
        check_params(params)
        fingerprints(params, ROOT)


def write(random: Random, planted: Path, folder: Path) -> None:
    """Write ``params.yaml`` with other bytes, or another structure."""
    import yaml

    paths = sorted(planted.glob("*.yaml"))
    path = random.choice(paths)
    if random.random() < 0.4:
        content = path.read_bytes()
        changed = mutations.mutated_bytes(random, content, random.choice(paths).read_bytes())
    else:
        from tasks.contracts.yaml12 import parse_yaml

        value = mutations.mutated(random, parse_yaml(path.read_text(encoding="utf-8")))
        if random.random() < 0.5:
            text = mutations.json_text(value)
        else:
            text = mutations.with_raw(yaml.dump(value, allow_unicode=True, sort_keys=False))
        changed = mutations.encoded(text)
    (folder / "params.yaml").write_bytes(changed)


def attempt() -> None:
    """Do with ``params.yaml`` what every command does."""
    from dvc.utils.serialize import parse_yaml

    from tasks.contracts.params import asks_for_probes, check_params, read_params
    from tasks.fingerprint.rows import fingerprints

    params = read_params()
    check_params(params)
    asks_for_probes(params)
    fingerprints(params, ROOT)
    text = Path("params.yaml").read_text(encoding="utf-8")
    try:
        theirs = parse_yaml(text, "params.yaml")
    except Exception as error:
        raise Wrong(f"taken, but DVC says: {' '.join(str(error).split())[:300]}") from error
    if not _equal(params, theirs):
        raise Wrong("taken with other values than DVC's")


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_equal(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


PARAMS = Kind("params", 25, plant, prepare, write, attempt)
