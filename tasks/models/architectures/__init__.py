"""The registry of architectures; the file's name is the key in ``params.yaml``.

Each module has a class ``Settings`` (its sizes, checked without importing torch),
``build(settings, traits)`` (the model to pretrain, from random weights), and ``BACKBONE``: the
class ``TextBackbone`` or ``ImageBackbone``, which turns contents into inputs, puts heads on, and
loads.

An architecture for texts also says what the state of a token knows of the others (``CONTEXT``; an
objective asks for one of three), and gives the encoder in a folder, with the poolings that fit it
(``load_parts``). One for images names its ``PARTS``.
"""
