"""Which devices a training may use: a file lock by the GPU's UUID, held by the stage's own process.

The locks are taken before torch is imported and die with the process (also after kill -9), so that
the flow and a bare ``dvc repro`` obey the same ones. Those of GPUs are the machine's: they lie in
one folder for all clones and users. Without a GPU there is one training slot a workspace, however
many processes train in it.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tasks.contracts import paths
from tasks.errors import BadInput
from tasks.machine.gpus import list_gpus
from tasks.progress import say

POLL_SECONDS = 0.5
DRIVER_SECONDS = 60.0
NO_GPU = ["cpu"]
FOLDER = "DOWNSTREAM_DEVICES"
"""Names another folder for the leases on GPUs: one that containers on a machine share, say."""
MACHINE_FOLDER = Path("/tmp/downstream-devices")  # noqa: S108 - opened below without following links
CHOOSING = "choosing"
SLURM_JOB = "SLURM_JOB_ID"


def usable_devices() -> list[str]:
    """Return the GPUs this process may use, by UUID; ``["cpu"]`` if none. torch is not imported.

    Where no driver tells UUIDs, they are what ``CUDA_VISIBLE_DEVICES`` calls them.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible.strip():
        return NO_GPU
    known = list_gpus(timeout_seconds=DRIVER_SECONDS)
    if visible is None:
        return [unit for units in known.values() for unit in units] or NO_GPU
    found: list[str] = []
    for entry in (part.strip() for part in visible.split(",") if part.strip()):
        unit = _unit(entry, known)
        if unit is None:
            break  # as CUDA reads it: what is no device hides itself and what follows
        found.append(unit)
    return list(dict.fromkeys(found)) or NO_GPU


def _unit(entry: str, known: dict[str, list[str]]) -> str | None:
    """Return what an entry of ``CUDA_VISIBLE_DEVICES`` stands for: a GPU, or an instance of one.

    Args:
        entry: an index, or (the beginning of) a UUID.
        known: of each GPU, in the driver's order, its instances; itself where it is not divided.
    """
    if not known:
        return None if entry == "-1" else entry
    if entry.isdigit():
        # Of a divided GPU, CUDA takes the first instance.
        return list(known.values())[int(entry)][0] if int(entry) < len(known) else None
    for gpu, units in known.items():
        for unit in (*units, gpu):
            if unit.startswith(entry):
                return units[0] if unit == gpu else unit
    return None


@contextmanager
def device_lease(name: str, wanted: int, *, fewer_will_do: bool = False) -> Iterator[list[str]]:
    """Hold so many devices until the body ends, waiting until they are free at once.

    ``CUDA_VISIBLE_DEVICES`` is set to them, so that no library of the stage sees another.

    Args:
        name: the stage, for the error.
        wanted: how many; without a GPU it is the one slot.
        fewer_will_do: take all there are where there are fewer.

    Raises:
        BadInput: there are fewer GPUs, or the leases cannot be kept.
    """
    devices = usable_devices()
    wanted = 1 if devices == NO_GPU else wanted
    if fewer_will_do:
        wanted = min(wanted, len(devices))
    if wanted > len(devices):
        raise BadInput(
            f"params.yaml: {name} asks for devices: {wanted}, but may use {len(devices)} GPUs here "
            f"({', '.join(devices)}): lower it, or run on a larger machine"
        )
    if devices == NO_GPU and SLURM_JOB in os.environ:
        yield devices  # SLURM has given this job its cores
        return
    with _lease_folder(devices == NO_GPU) as folder:
        told = False
        while not (held := _take_free(folder, devices, wanted)):
            if not told:
                say(f"waiting for {wanted} of {len(devices)} devices to be free")
                told = True
            time.sleep(POLL_SECONDS)
        with held[1]:
            if devices != NO_GPU:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held[0])
            yield held[0]


@contextmanager
def _lease_folder(of_workspace: bool) -> Iterator[int]:
    """Open the folder that the leases lie in; it is made if need be.

    Args:
        of_workspace: the one of this workspace, not of the machine.

    Raises:
        BadInput: it cannot be used.
    """
    chosen = os.environ.get(FOLDER)
    folder = Path(chosen).resolve() if chosen else MACHINE_FOLDER
    try:
        if of_workspace:
            folder = paths.STATE / "devices"
            folder.mkdir(parents=True, exist_ok=True)
            folder = folder.resolve()  # a clone has a link to those of its workspace
        elif not folder.exists():
            with suppress(FileExistsError):
                folder.mkdir()
                folder.chmod(0o1777)  # every user's leases lie here, and nobody removes another's
        # A link that somebody has laid in /tmp is not followed.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise BadInput(
            f"{folder}: the leases on devices cannot be kept there ({error.strerror}): have it "
            f"made as a folder that everybody may write to, or name another by {FOLDER}"
        ) from None
    try:
        # Shared, so that no cleaner of old files goes through it while a training lasts for weeks.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def _take_free(folder: int, devices: list[str], wanted: int) -> tuple[list[str], ExitStack] | None:
    """Take so many devices, or none: nobody holds some while waiting for others."""
    # One process at a time, or two could take a half each and give it back for ever.
    with ExitStack() as choosing, ExitStack() as taken:
        _lock(folder, CHOOSING, choosing, wait=True)
        names: list[str] = []
        for device in devices:
            if _lock(folder, device.replace("/", "_"), taken, wait=False):
                names.append(device)
            if len(names) == wanted:
                return names, taken.pop_all()
    return None


def _lock(folder: int, name: str, held: ExitStack, wait: bool) -> bool:
    """Lock a file of a folder until ``held`` is left; tell whether that could be done.

    Args:
        folder: its descriptor.
        name: the file's, without its ending.
        held: closes it.
        wait: until whoever holds it has ended.

    Raises:
        BadInput: what lies there is no file of ours.
    """
    file = f"{name}.lock"
    while True:
        descriptor = _open(folder, file)
        with ExitStack() as opened:
            opened.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                return False
            if _is_still(folder, file, descriptor):
                held.push(opened.pop_all())
                return True


def _open(folder: int, file: str) -> int:
    # Never a link, and never stopped by a pipe. A file that another user has made is not opened
    # with O_CREAT: kernels refuse that in such a folder (fs.protected_regular).
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        while True:
            with suppress(FileNotFoundError):
                descriptor = os.open(file, flags, dir_fd=folder)
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.close(descriptor)
                    raise OSError(errno.EINVAL, "it is no plain file")
                return descriptor
            with suppress(FileExistsError):
                made = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
                os.fchmod(made, 0o666)  # whatever the umask is
                return made
    except OSError as error:
        raise BadInput(
            f"{file}: this lease on a device cannot be used ({error.strerror}): remove the file "
            f"from the folder of the leases, or name another by {FOLDER}"
        ) from None


def _is_still(folder: int, file: str, descriptor: int) -> bool:
    """Tell whether a locked file is still the one of its name (a cleaner may have removed it)."""
    try:
        now = os.stat(file, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return now.st_ino == os.fstat(descriptor).st_ino
