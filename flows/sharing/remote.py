"""Results shared through DVC's remote: taken from there before a stage runs, put there after.

What a remote holds of one result, in the order in which it is sent:

    files/md5/<2>/<30>                    what the outputs hold, as by ``dvc push``
    downstream/libraries/<2>/<hash>.json  the library versions that it was made with
    runs/<2>/<stage hash>/<value>         its entry of the run cache, as by ``dvc push --run-cache``

The entry comes last, so that whoever finds one finds the rest. Each object is held against its hash
before it gets its name in DVC's cache; one that does not have it is reported and never used. A
transfer that was interrupted goes on where it stopped: by object in both directions, and inside an
object when it is fetched.
"""

import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from flows.dvc.contents import is_cached
from flows.dvc.internals import hash_of_entry, open_remote, open_repo, run_cache_folder
from flows.dvc.run_cache import outputs_of
from flows.dvc.trees import FOLDER, require_inside
from tasks.contracts import files
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import StageFailed, Unreachable, in_words
from tasks.fingerprint.libraries import LIBRARIES, versions_then
from tasks.progress import say
from tasks.stage_process.stage_hash import entry_hash

TRANSFERS = 8
"""How many objects are on their way at once."""
CHUNK_BYTES = 2**22
LARGEST_RECORD = 2**22
"""Of an entry of the run cache, or of library versions; larger ones are none of ours."""
ENTRY_NAME = re.compile(r"[0-9a-f]{64}")


class Remote:
    """The default remote of the workspace's DVC repository, for all threads of a run."""

    def __init__(self) -> None:
        """Open it; nothing is asked of it yet.

        Raises:
            BadSettings: there is none, or it is of a kind that has no run cache.
        """
        self._repo = open_repo()
        self.name, self._path, self._fs = open_remote(self._repo)
        self._cache = self._repo.cache.local
        self._pool = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="transfer")
        self._lock = threading.Lock()
        self._corrupt: set[str] = set()
        self._given_up = threading.Event()

    def stop_fetching(self) -> None:
        """Give up what is on its way here; the next run goes on with it."""
        self._given_up.set()

    def close(self) -> None:
        """Let no further transfer start."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def fetch(
        self, name: str, stage_hash: str, outputs: Iterable[str], recorded: Mapping[str, str]
    ) -> bool:
        """Bring a result into DVC's cache and run cache, if the remote has all of it.

        Args:
            name: the stage, for what is said.
            stage_hash: what the result is made from.
            outputs: the paths of its outputs.
            recorded: their hashes, where ``dvc.lock`` has them for this stage hash.

        Returns:
            Whether anything was fetched that makes running the stage needless.

        Raises:
            Unreachable: the remote does not answer.
        """
        if recorded:
            if all(is_cached(self._repo, md5) for md5 in recorded.values()):
                return False
            if self.fetch_contents(name, recorded):
                self._fetch_libraries(name, stage_hash)
                return True
        if outputs_of(self._repo, stage_hash):
            return False
        for value, content in self._entries(name, stage_hash):
            contents = _contents(_entry(content) or {})
            if contents.keys() == set(outputs) and self.fetch_contents(name, contents):
                self._fetch_libraries(name, stage_hash)
                files.write_bytes(run_cache_folder(self._repo, stage_hash) / value, content)
                return True
        return False

    def fetch_contents(self, name: str, contents: Mapping[str, str]) -> bool:
        """Bring files and folders into DVC's cache; tell whether all of them are there now.

        Args:
            name: whose they are, for what is said.
            contents: their hashes by path.

        Raises:
            Unreachable: the remote does not answer.
            StageFailed: a folder would be written outside of itself, or there is no room here.
        """
        try:
            return self._fetch_contents(name, contents)
        except OSError as error:
            raise StageFailed(
                f"{name}: its result cannot be kept here: {in_words(error)}"
            ) from error

    def _fetch_contents(self, name: str, contents: Mapping[str, str]) -> bool:
        require_inside(self._repo, contents.values())
        folders = [md5 for md5 in contents.values() if md5.endswith(FOLDER)]
        if not all(list(self._pool.map(self._fetch_object, folders))):
            return self._missing(name, contents)
        require_inside(self._repo, folders)  # before anything of theirs is laid out anywhere
        inside = [md5 for folder in folders for md5 in self._listed(folder)]
        plain = [md5 for md5 in contents.values() if not md5.endswith(FOLDER)]
        there = list(self._pool.map(self._fetch_object, dict.fromkeys([*plain, *inside])))
        return all(there) or self._missing(name, contents)

    def send(self, name: str, stage_hash: str) -> int:
        """Put the recorded result of a stage on the remote: what it does not have yet.

        Args:
            name: the stage.
            stage_hash: what the result was made from.

        Returns:
            How many objects were sent.

        Raises:
            Unreachable: the remote does not answer, or refuses.
        """
        folder = run_cache_folder(self._repo, stage_hash)
        entries = [path for path in folder.glob("*") if ENTRY_NAME.fullmatch(path.name)]
        if not entries:
            return 0  # a stage that DVC cannot restore is none to share
        newest = max(entries, key=os.path.getmtime)
        content = newest.read_bytes()
        sent = self.send_contents(_contents(_entry(content) or {}).values())
        versions = versions_then(name, stage_hash)
        if versions is not None:
            self._send_bytes(self._libraries(stage_hash), files.to_json(versions).encode())
        entry = self._fs.join(self._entry_folder(stage_hash), newest.name)
        return sent + self._send_bytes(entry, content)

    def send_contents(self, md5s: Iterable[str]) -> int:
        """Put what files and folders hold on the remote; folders after what is in them.

        Raises:
            Unreachable: the remote does not answer, or refuses.
        """
        wanted = [md5 for md5 in dict.fromkeys(md5s) if is_cached(self._repo, md5)]
        folders = [md5 for md5 in wanted if md5.endswith(FOLDER)]
        inside = [md5 for folder in folders for md5 in self._listed(folder)]
        plain = [md5 for md5 in wanted if md5 not in folders]
        sent = list(self._pool.map(self._send_object, dict.fromkeys([*plain, *inside])))
        sent += self._pool.map(self._send_object, folders)
        return sum(sent)

    def _missing(self, name: str, contents: Mapping[str, str]) -> bool:
        say(f"{name}: {self.name} does not have all of its result ({', '.join(contents)})")
        return False

    def _listed(self, folder: str) -> list[str]:
        path = Path(self._cache.oid_to_path(folder))
        return [entry["md5"] for entry in json.loads(path.read_bytes())]

    def _object(self, md5: str) -> str:
        where: str = self._fs.join(self._path, "files", "md5", md5[:2], md5[2:])
        return where

    def _entry_folder(self, stage_hash: str) -> str:
        folder: str = self._fs.join(self._path, "runs", stage_hash[:2], stage_hash)
        return folder

    def _libraries(self, stage_hash: str) -> str:
        path: str = self._fs.join(
            self._path, "downstream", "libraries", stage_hash[:2], f"{stage_hash}.json"
        )
        return path

    def _entries(self, name: str, stage_hash: str) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each entry for a stage hash that is what its name says."""
        folder = self._entry_folder(stage_hash)
        try:
            with self._asked():
                self._fs.fs.invalidate_cache(folder)
                paths = sorted(self._fs.find(folder))
        except FileNotFoundError:
            return
        for path in paths:
            value = self._fs.name(path)
            if not ENTRY_NAME.fullmatch(value):
                continue
            content = self._read(path)
            entry = _entry(content)
            if entry and hash_of_entry(entry) == value and entry_hash(entry) == stage_hash:
                yield value, content
            else:
                say(
                    f"warning: {name}: {self.name} has a corrupted entry of the run cache, which "
                    f"is not used: {path}"
                )

    def _read(self, path: str) -> bytes:
        with self._asked(), self._fs.open(path, "rb") as file:
            content: bytes = file.read(LARGEST_RECORD)
            return content

    def _fetch_libraries(self, name: str, stage_hash: str) -> None:
        """Take the versions that a result was made with; nothing where none were sent."""
        if versions_then(name, stage_hash) is not None:
            return
        try:
            versions = json.loads(self._read(self._libraries(stage_hash)))
        except (FileNotFoundError, ValueError):
            return
        if isinstance(versions, dict) and all(isinstance(v, str) for v in versions.values()):
            files.write_json(LIBRARIES / name / f"{stage_hash}.json", versions)

    def _fetch_object(self, md5: str) -> bool:
        """Bring one object into DVC's cache; tell whether it is there now."""
        target = Path(self._cache.oid_to_path(md5))
        if target.is_file():
            return True
        # Beside the cache's own folder: a rename, and nothing that DVC would take for an object.
        partial = Path(self._cache.path).with_name("partial") / md5
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another run may share the cache
            if target.is_file():
                partial.unlink(missing_ok=True)
                return True
            try:
                going_on = file.tell() > 0
                digest = self._append(md5, file, partial)
                if digest != md5.removesuffix(FOLDER) and going_on:
                    file.truncate(0)
                    digest = self._append(md5, file, partial)
            except FileNotFoundError:
                partial.unlink(missing_ok=True)
                return False
            if digest != md5.removesuffix(FOLDER):
                partial.unlink()
                with self._lock:
                    self._corrupt.add(md5)
                say(
                    f"warning: {self.name} has a corrupted object, which is not used: "
                    f"{self._object(md5)} has the hash {digest}"
                )
                return False
            self._cache.makedirs(str(target.parent))
            partial.replace(target)
            self._cache.protect(str(target))
        return True

    def _append(self, md5: str, file: BinaryIO, partial: Path) -> str:
        """Write what is missing of an object to the end of a file; return the whole one's md5."""
        digest = hashlib.md5(usedforsecurity=False)
        with partial.open("rb") as before:
            while chunk := before.read(CHUNK_BYTES):
                digest.update(chunk)
        with self._asked():
            source = self._fs.open(self._object(md5), "rb")
        with source:
            with self._asked():
                source.seek(partial.stat().st_size)
            while chunk := self._next_chunk(source):
                digest.update(chunk)
                file.write(chunk)
                file.flush()
        return digest.hexdigest()

    def _next_chunk(self, source: BinaryIO) -> bytes:
        if self._given_up.is_set():
            raise CancelledError
        with self._asked():
            return source.read(CHUNK_BYTES)

    def _send_object(self, md5: str) -> bool:
        """Put one object on the remote, unless it is there; tell whether it was sent."""
        source, path = Path(self._cache.oid_to_path(md5)), self._object(md5)
        with self._lock:
            corrupt = md5 in self._corrupt
        with self._asked():
            if not corrupt and self._size(path) == source.stat().st_size:
                return False
            self._put(source, path)
        with self._lock:
            self._corrupt.discard(md5)
        return True

    def _send_bytes(self, path: str, content: bytes) -> bool:
        with self._asked():
            if self._size(path) == len(content):
                return False
            local = Path(self._cache.path).with_name("partial") / f"{self._fs.name(path)}.send"
            files.write_bytes(local, content)
            self._put(local, path)
            local.unlink(missing_ok=True)
        return True

    def _size(self, path: str) -> int | None:
        self._fs.fs.invalidate_cache(self._fs.parent(path))
        try:
            size: int | None = self._fs.info(path)["size"]
        except FileNotFoundError:
            return None
        return size

    def _put(self, source: Path, path: str) -> None:
        try:
            self._fs.makedirs(self._fs.parent(path), exist_ok=True)
            self._fs.put_file(str(source), path)
        except FileNotFoundError as error:  # no such bucket
            raise Unreachable(f"DVC's remote {self.name} ({self._path}): {error}") from error

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Turn whatever a kind of remote raises into one error; a missing file stays one."""
        try:
            yield
        except (FileNotFoundError, Unreachable):
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise Unreachable(f"DVC's remote {self.name} ({self._path}): {text}") from error


def _contents(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each output, by its path."""
    return {out["path"]: out["md5"] for out in entry.get("outs", ())}


def _entry(content: bytes) -> dict[str, Any] | None:
    """Return an entry of the run cache; None where it is none."""
    try:
        entry = parse_yaml(content.decode())
        if all(isinstance(out[key], str) for out in entry["outs"] for key in ("path", "md5")):
            return dict(entry)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None
    return None
