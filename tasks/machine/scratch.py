"""Files for what memory has no room for while a stage runs.

They have no name, so that nothing is left of them when the process ends, however it does.
"""

from pathlib import Path
from tempfile import TemporaryFile
from typing import IO


def scratch_file(folder: Path) -> IO[bytes]:
    """Return a new file on the disk of a folder, to write to and to read from."""
    folder.mkdir(parents=True, exist_ok=True)
    return TemporaryFile(dir=folder)
