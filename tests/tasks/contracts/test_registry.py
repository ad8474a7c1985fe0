"""Registries: a file's name is the key."""

import subprocess
import sys

import pytest

from tasks.contracts import registry
from tasks.errors import BadSettings


def test_the_files_of_the_folder_are_the_entries() -> None:
    assert {"masked", "reconstruction", "classification"} <= set(
        registry.entries("tasks.objectives")
    )
    assert not any(name.startswith("_") for name in registry.entries("tasks.objectives"))


def test_an_unknown_entry_lists_those_there_are() -> None:
    with pytest.raises(
        BadSettings, match=r"x\.objective: 'mask' is unknown; .*did you mean 'masked'"
    ):
        registry.load("tasks.objectives", "mask", "x.objective")


@pytest.mark.parametrize("package", ["tasks.objectives", "tasks.models.architectures"])
def test_settings_of_every_entry_are_checked_without_torch(package: str) -> None:
    code = (
        "import sys; from tasks.contracts import registry\n"
        f"package = {package!r}\n"
        "for name in registry.entries(package): registry.load(package, name, '').Settings()\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
