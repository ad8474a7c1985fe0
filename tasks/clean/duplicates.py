"""Finds repeated contents within one official split, holding 16 bytes a record, not the record."""

import hashlib


class Seen:
    """The contents seen so far, each with the label it had first."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str | None] = {}

    def reason_to_drop(self, identity: str, split: str | None, label: str | None) -> str | None:
        """Return why a record is dropped, or nothing; then it counts as seen.

        Args:
            identity: the sha256 of its content.
            split: its official split; the same content in another one is no duplicate.
            label: its class.
        """
        key = hashlib.sha256(f"{split}:{identity}".encode()).digest()[:16]
        if key not in self._labels:
            self._labels[key] = label
            return None
        return "duplicate" if self._labels[key] == label else "duplicate_other_label"
