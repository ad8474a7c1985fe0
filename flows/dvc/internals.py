"""What we use of DVC beyond its command line: each name in a function of its own, with the reason.

DVC documents no Python API for recording a stage. An upgrade that changes one of these names breaks
here, and fails a test of ``tests/flows/dvc/test_internals.py``.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.dvc.rwlock import own_holder
from tasks.errors import BadSettings, StageFailed
from tasks.stage_process.stage_hash import results_of, run_cache_of

if TYPE_CHECKING:
    from dvc.dependency import ParamsDependency
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.stage import Stage as DvcStage


@contextmanager
def dvc_errors() -> Iterator[None]:
    """Turn DVC's errors into our own.

    Raises:
        StageFailed: another process holds the files of a stage, which may take hours.
        BadSettings: DVC cannot read the workspace.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        yield
    except LockError as held:
        text = " ".join(str(held).split())
        raise StageFailed(
            f"another process works on these stages ({text}): wait for its end, then try again"
        ) from None
    except DvcException as error:
        text = " ".join(str(error).split())
        raise BadSettings(f"DVC cannot read this workspace: {text}") from error


def open_repo() -> "Repo":
    """Return the current directory's repository, quiet, whose lock is waited for.

    ``_wait_for_lock`` is what ``dvc --wait-for-lock`` sets; there is no public name for it.
    """
    from dvc.repo import Repo

    # After DVC's import, which sets a level of its own: no bars and hints among our lines.
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    with dvc_errors():
        return Repo(_wait_for_lock=True)


def resolved_entries(repo: "Repo", path: Path) -> dict[str, dict[str, Any]]:
    """Return the stages of a ``dvc.yaml`` with ``foreach`` and variables filled in, by name.

    DVC's own ``resolver``, since a second one would differ; its stage objects cost seconds at 450
    stages, and a plan needs none.

    Raises:
        DvcException: it cannot be read, or has no stages.
    """
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException

    resolver = load_file(repo, str(path)).resolver
    entries: dict[str, dict[str, Any]] = {}
    for name in resolver.get_keys():
        entries.update(resolver.resolve_one(name))
    if not entries:
        raise DvcException(f"{path} has no stages")
    return entries


def dvc_stages(repo: "Repo") -> dict[str, "DvcStage"]:
    """Return DVC's own objects of all stages and ``.dvc`` files, by name, checked as a graph.

    Raises:
        BadSettings: DVC cannot read them, or refuses their graph.
    """
    with dvc_errors():
        repo.index.check_graph()
        return {stage_name(stage): stage for stage in repo.index.stages}


def stage_name(stage: "DvcStage") -> str:
    """Return the name of a stage, or the path of a ``.dvc`` file, wherever we stand."""
    name: str = getattr(stage, "name", None) or stage.path_in_repo
    return name


def hold_files(stage: "DvcStage") -> AbstractContextManager[None]:
    """Keep other DVC processes off a stage's files while the repository lock is released.

    DVC's own ``rwlock``, which is what ``dvc repro`` holds while its command runs.
    """
    from dvc.rwlock import rwlock

    repo = stage.repo
    reads, writes = ([item.fs_path for item in items] for items in (stage.deps, stage.outs))
    # The holder is told apart by process and this text, so each stage needs its own.
    holder = own_holder(stage_name(stage))
    hardlink = repo.config["core"].get("hardlink_lock", False)
    lock: AbstractContextManager[None] = rwlock(
        repo.tmp_dir, repo.fs, holder, reads, writes, hardlink
    )
    return lock


def sources(stage: "DvcStage") -> dict[str, list["Output"]]:
    """Return whom each file that a stage depends on is an output of, or a part, by its path.

    Parameters are no files; what DVC does not track has nobody. ``find_outs_by_path`` would look
    for a part of an output or for what lies around it, never for both.
    """
    from dvc.dependency import ParamsDependency

    files = [item for item in stage.deps if not isinstance(item, ParamsDependency)]
    outs = list(stage.repo.index.outs)
    return {
        file.def_path: [
            out
            for out in outs
            if out.fs.isin_or_eq(file.fs_path, out.fs_path)
            or out.fs.isin(out.fs_path, file.fs_path)
        ]
        for file in files
    }


def rwlock_file(repo: "Repo") -> Path:
    """Return where DVC lists who reads and writes what."""
    from dvc.rwlock import RWLOCK_FILE

    return Path(repo.tmp_dir) / RWLOCK_FILE


def lock_entries(stage: "DvcStage") -> dict[str, Any]:
    """Return what DVC records of a stage in ``dvc.lock``: its one entry, by its name."""
    from dvc.stage.serialize import to_lockfile

    entries: dict[str, Any] = to_lockfile(stage)
    return entries


def lock_text(entries: dict[str, Any]) -> str:
    """Return a ``dvc.lock`` of some entries as DVC's serialiser writes it, byte for byte."""
    from dvc.utils.serialize import dumps_yaml

    text: str = dumps_yaml({"schema": "2.0", "stages": entries})
    return text


def dump_into(path: Path, stage: "DvcStage") -> None:
    """Have DVC itself put a stage's entry into a lock file, in place, its layout kept."""
    from dvc.dvcfile import Lockfile

    Lockfile(stage.repo, str(path.absolute())).dump_stages([stage])


def schema_fault(lock: Any) -> str | None:
    """Return the first thing that DVC's schema of ``dvc.lock`` refuses; None where there is none.

    With the schema a torn lock is found before DVC reads it, which would only say "corrupted".
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import MultipleInvalid

    try:
        COMPILED_LOCKFILE_SCHEMA(lock)
    except MultipleInvalid as error:
        return str(error.errors[0])
    return None


def run_cache_folder(repo: "Repo", stage_hash: str) -> Path:
    """Return where DVC's run cache keeps the results of a stage hash, one file each."""
    return results_of(run_cache_of(repo), stage_hash)


def hash_of_entry(entry: Mapping[str, Any]) -> str:
    """Return the name under which DVC's run cache keeps an entry: its hash, outputs included."""
    from dvc.stage.cache import _get_cache_hash

    value: str = _get_cache_hash({**entry})
    return value


def open_remote(repo: "Repo") -> tuple[str, str, Any]:
    """Return the name and path of the default remote, and DVC's file system for it.

    Raises:
        BadSettings: there is none, its package is missing, or it is of a kind without a run cache.
    """
    from dvc.config import ConfigError, NoRemoteError
    from dvc_objects.fs.errors import RemoteMissingDepsError

    try:
        remote = repo.cloud.get_remote()
    except NoRemoteError:
        raise BadSettings(
            "--pull and --push need a default remote, and this workspace has none: "
            "`dvc remote add -d NAME URL`"
        ) from None
    except (ConfigError, RemoteMissingDepsError) as error:
        raise BadSettings(f"DVC's remote: {' '.join(str(error).split())}") from None
    if remote.worktree or remote.fs.version_aware or remote.fs.protocol in ("http", "https"):
        raise BadSettings(
            f"DVC's remote {remote.name} keeps no run cache (version_aware, worktree or http): "
            "name another by `dvc remote default`"
        )
    return remote.name, remote.path, remote.fs


def serve_params(
    stage: "DvcStage", read: Callable[["ParamsDependency"], dict[str, Any] | None]
) -> None:
    """Let the parameter dependencies of a stage ask ``read`` before they parse their file.

    DVC parses ``params.yaml`` anew for each stage and each look at it, some eight times a stage
    that runs: with hundreds of stages that is most of what recording them costs. It has no
    setting for this, so ``read_params`` is replaced on the object, not in the library.

    Args:
        stage: one of DVC's own.
        read: returns the value of each tracked key, or None where DVC has to read by itself.
    """
    from dvc.dependency import ParamsDependency

    def read_params(
        dependency: "ParamsDependency", flatten: bool = True, **options: Any
    ) -> dict[str, Any]:
        values = read(dependency) if flatten and dependency.params else None
        if values is None:
            values = type(dependency).read_params(dependency, flatten=flatten, **options)
        return values

    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency):
            dependency.read_params = partial(read_params, dependency)


def load_parameter_file(repo: "Repo", path: str) -> Any:
    """Return what a parameter file of any kind that DVC knows (TOML, JSON, Python) holds.

    Raises:
        ParseError: it cannot be parsed.
    """
    from dvc.utils.serialize import load_path

    return load_path(path, repo.fs)


def share_cache(workspace: Path, clone: Path, link_types: list[str]) -> None:
    """Let a clone use a workspace's cache; what the clone's own settings say stays.

    ``local_cache_dir`` and ``Config.edit`` are what ``dvc cache dir`` reads and writes; as commands
    they would be three processes of a second each.

    Args:
        workspace: whose cache it is.
        clone: whose ``.dvc/config.local`` is written.
        link_types: how the clone takes files from the cache, the best first.
    """
    from dvc.config import Config
    from dvc.repo import Repo

    with Repo(str(workspace)) as repo:
        cache = repo.cache.local_cache_dir
    with Config(str(clone / ".dvc")).edit("local") as config:
        section = config.setdefault("cache", {})
        section["dir"] = cache
        section.setdefault("type", link_types)
