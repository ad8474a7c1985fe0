"""What is installed: the versions that were tested together, each by its hash."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.workspace import ROOT

LINE = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))?(?: \\)?")


def pins(file: str) -> Iterator[tuple[str, str]]:
    """Yield the names and versions that a file asks for on this machine."""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        found = LINE.fullmatch(line.partition(" #")[0])
        if found and (found["marker"] is None or Marker(found["marker"]).evaluate()):
            yield canonicalize_name(found["name"]), found["version"]


def test_every_pinned_package_but_torch_is_installed_by_its_hash() -> None:
    hashed, pinned = dict(pins("requirements-hashed.txt")), dict(pins("constraints.txt"))
    assert len(pinned) > 200
    assert {name: hashed.get(name) for name in pinned if name != "torch"} == {
        name: version for name, version in pinned.items() if name != "torch"
    }


def test_every_requirement_has_hashes() -> None:
    text = (ROOT / "requirements-hashed.txt").read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        first, *rest = entry.splitlines()
        assert LINE.fullmatch(first), first
        assert rest, first
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in rest)


def test_these_versions_are_the_installed_ones() -> None:
    expected = dict(pins("requirements-hashed.txt"))
    assert {name: metadata.version(name) for name in expected} == expected, sys.prefix
