"""The newest entry of each log, kept outside of MLflow: in a file, which belongs in git.

Who can write to MLflow can replace a whole log, and the tag with its head; a file on another
machine, or a commit, still names an entry that the false log does not have.
"""

from pathlib import Path

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.tracking.audit.log import AuditLog


def check_and_keep(path: Path, log: AuditLog) -> list[str]:
    """Compare a log with the head that a file has of it, and write the newest if all holds.

    Args:
        path: the file: a line ``MODEL NUMBER SHA256`` for each model; made if there is none.
        log: as it was read.

    Returns:
        What is wrong, one line each; then the file stays as it is.

    Raises:
        BadInput: the file is none of heads.
    """
    heads = _read(path)
    known = heads.get(log.model)
    if known is not None and not log.has(known):
        number = known.partition(" ")[0]
        return [
            f"{log.model}: the log was replaced or cut: {path} names its entry {number}, which the "
            f"log in MLflow (its last entry is {log.last_number}) does not have"
        ]
    if not log.problems() and known != log.newest:
        heads[log.model] = log.newest
        lines = (f"{model} {head}\n" for model, head in sorted(heads.items()))
        files.write_text(path, "".join(lines))
    return []


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        lines = [""]
    heads = {}
    for number, line in enumerate(lines, 1):
        words = line.split(" ")
        if len(words) != 3 or not words[1].isdecimal():
            raise BadInput(
                f"{path}, line {number}: expected a model, a number and a sha256, as "
                "`downstream history MODEL --head` prints them: restore the file"
            )
        heads[words[0]] = f"{words[1]} {words[2]}"
    return heads
