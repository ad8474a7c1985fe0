"""What may one corpus have that not every corpus has?

- ``columns``: further columns of its records, from ``collect`` to ``split``
"""
