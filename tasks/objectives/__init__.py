"""What can be learnt? The registry of objectives; the file's name is the key in ``params.yaml``.

Each module has a class ``Settings``, checked without importing torch, and ``prepare(...)``, which
returns a ``tasks.training.task.Task`` for ``tasks.training.loop.train``. ``_texts`` and ``_images``
hold what those of one modality share: corpus and architecture checked, records read; ``_fresh``
what starts from a tokenizer alone. ``_backbone`` writes what was learnt, ``_linear_probe`` measures
what it knows of labels.
"""
