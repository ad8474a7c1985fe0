"""``pin.json``: the exact revision and sha256 of what ``params.yaml`` only names."""

from pathlib import Path
from typing import Any

from tasks.contracts.files import read_json
from tasks.errors import BadInput


def read_pins(path: Path) -> dict[str, dict[str, Any]]:
    """Return the content of a ``pin.json``; without the file, no pins.

    Raises:
        BadInput: the file is not what ``downstream refresh`` writes.
    """
    if not path.exists():
        return {}
    try:
        pins = read_json(path)
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON ({error}): restore it, or run `downstream refresh "
            f"{path.parent.name}`"
        ) from None
    if not isinstance(pins, dict) or not all(isinstance(pin, dict) for pin in pins.values()):
        raise BadInput(
            f"{path}: expected pins by source: run `downstream refresh {path.parent.name}`"
        )
    return pins
