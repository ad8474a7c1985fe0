"""``python -m tasks.code``: what dvc.yaml calls."""

import tempfile
from pathlib import Path

from tasks.code.stage import run
from tasks.contracts import files, paths
from tasks.parent import die_with_parent
from tasks.stage_process.process import exit_code

if __name__ == "__main__":
    die_with_parent()
    with exit_code():
        paths.STATE.mkdir(exist_ok=True)
        output = Path(tempfile.mkdtemp(dir=paths.STATE)) / "code"
        run(paths.PARAMS, Path.cwd(), output)
        files.replace_folder(output, paths.DATA / "code")
        output.parent.rmdir()
