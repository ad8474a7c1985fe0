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
