"""What may one corpus have that not every corpus has?

- ``columns``: further columns of its records, from ``collect`` to ``split``
- ``corrections``: labels that a person has corrected, from the sources to ``clean``
- ``languages``: those that its texts are in
- ``profile``: what it was like, to compare with
- ``scripts``: whether its words are told apart by spaces
"""
