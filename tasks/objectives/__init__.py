"""The registry of training objectives; the file's name is the key in ``params.yaml``.

Each module has a class ``Settings``, checked without importing torch, and ``prepare(...)``, which
returns a ``tasks.training.task.Task`` for ``tasks.training.loop.train``.
"""
