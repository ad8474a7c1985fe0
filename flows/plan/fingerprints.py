"""``params.yaml`` as it is now: checked, with the code fingerprints of its rows."""

from pathlib import Path

from tasks.contracts.params import read_params
from tasks.fingerprint.rows import fingerprints
from tasks.params import check_params


def current_codes() -> dict[str, str]:
    """Return the code fingerprint of every ``stage@row``, computed in memory.

    Raises:
        BadSettings: ``params.yaml`` is not what the schema allows.
    """
    params = read_params()
    check_params(params)
    return fingerprints(params, Path.cwd())
