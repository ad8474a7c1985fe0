"""How is what comes from outside fetched, checked and opened?

- ``downloads``: pins, and downloads kept by their sha256;
- ``hub``, ``wheel``, ``package``, ``web``: where they are fetched: the Hugging Face hub, Python's
  package index, it and those of npm and Debian, one address; ``tarballs``: archives that are tars;
- ``members``: the files of a folder or an archive, unpacked no further than is honest.

How a package and its version may be written stands here, since settings check it without fetching.
"""

PACKAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
VERSION = r"^[0-9][A-Za-z0-9.+!_-]*$"
