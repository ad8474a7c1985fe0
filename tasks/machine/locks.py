"""Locks on files, which go with their process: the kernel's (``flock``), or none at all.

filelock alone takes to files that mean "locked" by being there where a file system has no flock:
one that a killed process has left, or that an earlier lock has, is then waited for without end.
"""

from pathlib import Path

from filelock import FileLock


def file_lock(path: Path | str, timeout: float = -1) -> FileLock:
    """Return a lock that is not held yet; entering it raises OSError (ENOSYS) without flock.

    Args:
        path: the file; it stays there when the lock is given back.
        timeout: seconds to wait for it; 0 does not wait, -1 waits without end.
    """
    return FileLock(path, timeout=timeout, fallback_to_soft=False)
