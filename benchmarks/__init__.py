"""Slow studies: how fast, how good. Each is run by ``python -m benchmarks.NAME``."""
