"""``dvc.lock`` as it stands there: where it lies, and what it has recorded of every stage.

It is read here alone, without DVC, and written by ``flows.dvc.lockfile`` alone (and by DVC).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import files
from tasks.contracts.parse_cache import parsed_once
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings

LOCK = Path("dvc.lock")
PARSER = "YAML 1.2"
"""Part of the cache's key: another parser may read the same text otherwise."""


def read_lock() -> dict[str, dict[str, Any]]:
    """Return the entries of ``dvc.lock`` by stage; none where there is no such file.

    Raises:
        BadSettings: it is torn.
    """
    return _read_lock(LOCK.absolute(), files.stamp(LOCK))


# Read once for all models of a run: parsing it takes a second at some hundreds of stages.
@lru_cache(maxsize=1)
def _read_lock(path: Path, _: files.Stamp) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        lock = parsed_once("lock", [PARSER, text], lambda: parse_yaml(text))
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"DVC cannot read this workspace: dvc.lock is torn "
            f"({' '.join(str(error).split())}): `downstream run` rebuilds it"
        ) from None
    stages = lock.get("stages") if isinstance(lock, dict) else None
    return stages or {}
