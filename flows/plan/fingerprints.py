"""``params.yaml`` as it is now: checked, with the code fingerprints of its rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.contracts import paths
from tasks.contracts.params import check_params, read_params, stage_settings
from tasks.fingerprint.rows import fingerprints


def current_codes() -> dict[str, str]:
    """Return the code fingerprint of every ``stage@row``, computed in memory.

    Raises:
        BadSettings: ``params.yaml`` is not what the schema allows.
    """
    params = read_params()
    check_params(params)
    return fingerprints(params, Path.cwd())


def are_written(codes: Mapping[str, str]) -> bool:
    """Tell whether ``data/code`` holds these fingerprints, as ``current_codes`` returns them.

    DVC does not know: it hashes ``tasks/`` after the stage ``code`` has ended, so that an edit in
    its last moments is taken for one that the stage has read.
    """
    try:
        return all(
            paths.code(*name.split("@", 1)).read_text(encoding="utf-8") == text
            for name, text in codes.items()
        )
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def num_devices(names: Iterable[str]) -> dict[str, int]:
    """Return on how many devices each ``stage@row`` trains, by the row's resolved settings."""
    params = read_params()
    return {name: stage_settings(params, *name.split("@", 1)).num_devices() for name in names}
