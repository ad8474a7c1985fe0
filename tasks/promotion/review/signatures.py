"""A decision signed with a key of the reviewer's, by ``ssh-keygen``, which everybody has.

A name in the log is no proof; a signature is, to whoever knows whose key it is: from the file that
git checks signed commits with (``git config gpg.ssh.allowedSignersFile``). What is signed says
which versions were decided on, how, why, by whom, and on which evidence.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import BadInput
from tasks.machine.git import ask_git
from tasks.tracking.audit.aliases import CHAMPION
from tasks.tracking.audit.log import Entry, canonical

NAMESPACE = "downstream-review"
"""What a signature is for, so that one made for a commit or a login is none here."""
SIGNATURE = "signature"
SINCE = "champion_since"
"""The keys of the evidence: the signature, and the entry that the champion was champion since."""
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Checked:
    """What is known of a signature."""

    holds: bool
    says: str


def signed_text(
    model: str,
    version: int,
    decision: str,
    reviewer: str,
    comment: str,
    evidence: Mapping[str, str],
) -> str:
    """Return what is signed.

    Args:
        model: the registered model.
        version: its candidate.
        decision: ``approve`` or ``reject``.
        reviewer: who decides.
        comment: why.
        evidence: what the log keeps of it, the review's name and ``SINCE`` among it.
    """
    told = {key: value for key, value in evidence.items() if key != SIGNATURE}
    return canonical(
        {
            "model": model,
            "version": version,
            "decision": decision,
            "reviewer": reviewer,
            "comment": comment,
            "evidence": told,
        }
    )


def sign(text: str, key: Path) -> str:
    """Return a text's signature; ssh-keygen asks for a passphrase, or the agent does it.

    Args:
        text: what is signed.
        key: the file of a private key, or of a public one that the agent has the other of.

    Raises:
        BadInput: there is no such key, or no ssh-keygen.
    """
    try:
        done = subprocess.run(  # noqa: S603
            ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE],  # noqa: S607
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    except FileNotFoundError:
        raise BadInput(
            "--sign: there is no ssh-keygen here: install OpenSSH, or decide without a signature"
        ) from None
    if done.returncode != 0:
        lines = done.stderr.splitlines() or [f"exit code {done.returncode}"]
        raise BadInput(f"--sign: {key} signs nothing: {lines[-1]}")
    return done.stdout


def check(text: str, signature: str) -> Checked:
    """Say whether a signature is of a text, and whose it is.

    Args:
        text: what should have been signed.
        signature: as ``sign`` has returned it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="downstream-signature-") as folder:
            path = Path(folder) / SIGNATURE
            path.write_text(signature, encoding="utf-8", errors="replace")
            return _checked(text, path)
    except FileNotFoundError:
        return Checked(True, "signed; not checked, since there is no ssh-keygen here")


def _checked(text: str, signature: Path) -> Checked:
    about = ["-n", NAMESPACE, "-s", str(signature)]
    valid = _ask(["check-novalidate", *about], text)
    if valid is None:
        return Checked(False, "the signature is not of this decision")
    key = valid.rpartition(" with ")[2].strip()
    known = ask_git("config", "--type=path", "gpg.ssh.allowedSignersFile")
    if known is None:
        return Checked(True, f"signed with {key}; whose it is is not known here")
    found = _ask(["find-principals", "-s", str(signature), "-f", known], "")
    for name in (found or "").splitlines():
        if _ask(["verify", *about, "-f", known, "-I", name], text) is not None:
            return Checked(True, f"signed by {name}")
    return Checked(True, f"signed with {key}, which is nobody's that {known} names")


def _ask(words: Sequence[str], text: str) -> str | None:
    """Return what ssh-keygen says; None where it refuses."""
    done = subprocess.run(  # noqa: S603
        ["ssh-keygen", "-Y", *words],  # noqa: S607
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def signatures(entries: Sequence[Entry]) -> dict[int, Checked]:
    """Return what is known of each signed entry of a log, by its number.

    An approval that was signed while another entry had made the champion is none of this moment.

    Args:
        entries: the log, oldest first.
    """
    found, since = {}, 0
    for entry in entries:
        evidence = entry["evidence"]
        if SIGNATURE in evidence:
            told = (entry["action"], entry["actor"], entry["reason"], evidence)
            text = signed_text(entry["model"], entry["version_to"] or 0, *told)
            is_now = entry["alias"] != CHAMPION or evidence.get(SINCE) == str(since)
            found[entry["number"]] = (
                check(text, evidence[SIGNATURE])
                if is_now
                else Checked(False, "the signature is of another moment")
            )
        if entry["alias"] == CHAMPION:
            since = entry["number"]
    return found
