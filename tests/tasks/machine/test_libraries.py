"""Versions of what is installed."""

import platform

import torch

from tasks.machine.libraries import versions_now


def test_versions_are_those_installed() -> None:
    versions = versions_now()
    assert versions["torch"] == torch.__version__
    assert versions["python"] == platform.python_version()
