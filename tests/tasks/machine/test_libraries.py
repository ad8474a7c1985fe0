"""Versions of what is installed."""

import platform

import torch

from tasks.machine.libraries import versions_now


def test_versions_are_those_installed() -> None:
    versions = versions_now()
    # PyPI's wheel is 2.13.0, and calls itself 2.13.0+cu130.
    assert torch.__version__.startswith(versions["torch"])
    assert versions["python"] == platform.python_version()
