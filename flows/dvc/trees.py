"""Whether a folder in DVC's cache may be laid out: a cache may come from others, by a remote.

A folder is a list of relative paths and hashes (``.dir``), and DVC joins the paths to the output's
without a look at them: one with ``..`` in it is written anywhere. So each list is looked at before
this project has DVC take files from it.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from flows.dvc.internals import run_cache_folder
from tasks.contracts.lock import LOCK, hashes
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import StageFailed

if TYPE_CHECKING:
    from dvc.repo import Repo

HASH = re.compile(r"[0-9a-f]{32}")
FOLDER = ".dir"


def require_inside(repo: "Repo", md5s: Iterable[str]) -> None:
    """Check that folders of DVC's cache name only files inside of themselves.

    Args:
        repo: the DVC repository.
        md5s: hashes as ``dvc.lock`` has them; files, and what is not in the cache, pass.

    Raises:
        StageFailed: one of them does not.
    """
    for md5 in md5s:
        if not HASH.fullmatch(md5.removesuffix(FOLDER)):
            raise StageFailed(f"{md5!r} in dvc.lock or DVC's run cache is no hash of DVC's")
        if md5.endswith(FOLDER):
            path = Path(repo.cache.local.oid_to_path(md5))
            if path.is_file() and not _is_inside(path):
                raise StageFailed(
                    f"DVC's cache holds a folder whose files would be written outside of it: "
                    f"{path}. Nothing was restored. Remove that file, find out who wrote "
                    "it, and run again"
                )


def require_results_inside(repo: "Repo", stage_hash: str) -> None:
    """Check likewise what DVC's run cache may restore for a stage hash.

    Args:
        repo: the DVC repository.
        stage_hash: DVC's run-cache key.

    Raises:
        StageFailed: a folder there would be written outside of itself.
    """
    folder = run_cache_folder(repo, stage_hash)
    for entry in folder.iterdir() if folder.is_dir() else ():
        # DVC restores nothing from one that it cannot read.
        with suppress(OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
            outs = parse_yaml(entry.read_text(encoding="utf-8"))["outs"]
            require_inside(repo, [str(out["md5"]) for out in outs])


def require_lock_inside(root: Path) -> None:
    """Check likewise all that ``dvc checkout`` would lay out in another checkout.

    Args:
        root: its root.

    Raises:
        StageFailed: a folder there would be written outside of itself.
    """
    from dvc.repo import Repo

    lock = root / LOCK
    if not lock.is_file():
        return
    # A torn one lays out nothing: DVC cannot read it either.
    with suppress(yaml.YAMLError, UnicodeDecodeError, AttributeError), Repo(str(root)) as repo:
        stages = parse_yaml(lock.read_text(encoding="utf-8")).get("stages") or {}
        outputs = [hashes(entry, "outs").values() for entry in stages.values()]
        require_inside(repo, [md5 for md5s in outputs for md5 in md5s])


def _is_inside(path: Path) -> bool:
    try:
        listed = json.loads(path.read_bytes())
        return all(_names_a_file_inside(entry) for entry in listed)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _names_a_file_inside(entry: Any) -> bool:
    name = entry["relpath"]
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and not name.startswith("/")
        and ".." not in parts
        and "\0" not in name
        and "\\" not in name
        and HASH.fullmatch(entry["md5"]) is not None
    )
