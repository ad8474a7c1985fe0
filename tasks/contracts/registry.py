"""Registries: a folder whose modules are the entries, the file's name being the key.

``tasks/objectives/masked.py`` is the objective ``masked``. Adding an entry is adding one file, and
since no list of entries is kept anywhere, it changes the code of no other entry's rows. A module
that starts with an underscore is shared code, not an entry. Entries import torch inside their
functions, so that their settings can be checked without it.
"""

import importlib
import pkgutil
from types import ModuleType

from tasks.errors import BadSettings, one_of


def entries(package: str) -> list[str]:
    """Return the keys of a registry, for example of ``tasks.objectives``."""
    folder = importlib.import_module(package)
    names = (module.name for module in pkgutil.iter_modules(folder.__path__))
    return sorted(name for name in names if not name.startswith("_"))


def load(package: str, name: str, where: str) -> ModuleType:
    """Return the module of one entry.

    Args:
        package: the registry, for example ``tasks.objectives``.
        name: the key.
        where: the key path in ``params.yaml`` that named it, for the error.

    Raises:
        BadSettings: there is no such entry; the message lists those there are.
    """
    if name not in entries(package):
        raise BadSettings(f"{where}: {name!r} is unknown; {one_of(name, entries(package))}")
    return importlib.import_module(f"{package}.{name}")
