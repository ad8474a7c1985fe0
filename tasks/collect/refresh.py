"""Pins what ``params.yaml`` only names: ``downstream refresh`` writes ``pin.json`` with this."""

from pathlib import Path
from typing import Any

from tasks.collect.settings import SOURCES, Settings
from tasks.collect.source import SourceContext
from tasks.contracts import registry
from tasks.contracts.files import write_json


def refresh(corpus: str, settings: Settings, pin_path: Path) -> dict[str, dict[str, Any]]:
    """Resolve every remote source of a corpus again and write its ``pin.json``.

    Pins of sources that the settings no longer name are left out; a corpus without remote sources
    gets an empty file, so that its folder exists in git.

    Returns:
        The pins, by the identity of their source.

    Raises:
        BadInput: a source does not exist.
        Unreachable: a source does not answer; ``pin.json`` stays as it was.
    """
    pins: dict[str, dict[str, Any]] = {}
    for number, (source, kind) in enumerate(zip(settings.sources, settings.kinds(), strict=True)):
        context = SourceContext(corpus, number, pin_path.parent, pin_path, {})
        pins |= registry.load(SOURCES, kind, "sources").resolve(source, context)
    pins = dict(sorted(pins.items()))
    write_json(pin_path, pins)
    return pins
