"""The registry of architectures; the file's name is the key in ``params.yaml``.

Each module has a class ``Settings`` (its sizes, checked without importing torch),
``build(settings, traits)`` (the model to pretrain, from random weights), and ``family``: the module
``tasks.models.text`` or ``tasks.models.image``, which batches inputs, puts on heads, saves and
loads.

An architecture for texts also says what it ``READS`` (an objective asks for one of three ways) and
gives the encoder in a folder, with the poolings that fit it (``load_parts``).
"""
