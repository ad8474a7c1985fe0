"""What the servers of this workspace ask for: loopback is no wall.

Any page in the user's browser and any user of the machine can call a port on 127.0.0.1, and who may
start a deployment runs code as the user. So Prefect and MLflow ask for a secret, which is random,
made when a server first starts here, and lies in a file that its owner alone can read.
"""

import hashlib
import os
import secrets
from contextlib import suppress

from tasks.contracts import paths
from tasks.errors import DownstreamError

USER = "downstream"
FILE = paths.STATE / "server-secret"
NUM_BYTES = 24
PRIVATE = 0o600


def new_secret() -> str:
    """Return a secret that nobody has."""
    return secrets.token_urlsafe(NUM_BYTES)


def workspace_secret() -> str:
    """Return this workspace's secret, made if there is none; it lasts, so that clients keep it.

    Raises:
        DownstreamError: its file may be read by others.
    """
    FILE.parent.mkdir(parents=True, exist_ok=True)
    # Of two that start at once, one makes it.
    with suppress(FileExistsError):
        descriptor = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(new_secret())
    descriptor = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise DownstreamError(f"{FILE} may be read by others: remove it, and start again")
        secret = file.read()
    if len(secret) < NUM_BYTES:
        raise DownstreamError(f"{FILE} holds no secret: remove it, and start again")
    return secret


def prefect_login(secret: str) -> str:
    """Return what Prefect's clients and its page are to be given."""
    return f"{USER}:{secret}"


def derived(secret: str, purpose: str) -> str:
    """Return a value that is as secret, for another purpose."""
    return hashlib.sha256(f"{purpose} {secret}".encode()).hexdigest()
