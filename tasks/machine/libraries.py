"""The libraries whose work is in the bytes of an output, and their versions."""

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

REACH_OUTPUTS = (
    "captum",
    "datasets",
    "ftfy",
    "great-expectations",
    "matplotlib",
    "numpy",
    "pandas",
    "peft",
    "pillow",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)


@lru_cache
def public_version(name: str) -> str | None:
    """Return the version of an installed package (or ``python``); None where there is none.

    Without its local part: 2.13.0+cpu on one machine and 2.13.0+cu130 on another are one version.
    """
    if name == "python":
        return platform.python_version()
    try:
        return version(name).partition("+")[0]
    except (PackageNotFoundError, ValueError):
        return None


@lru_cache(maxsize=1)
def versions_now() -> dict[str, str]:
    """Return the versions of Python and these libraries, none of them imported."""
    versions = {"python": platform.python_version()}
    for name in REACH_OUTPUTS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
