"""Write the fingerprint of every row, and drop those of rows that are gone."""

from pathlib import Path

from tasks.contracts import files
from tasks.contracts.params import check_params, read_params
from tasks.fingerprint.rows import fingerprints


def run(params_file: Path, root: Path, output: Path) -> None:
    """Write ``<output>/<stage>/<row>.txt`` for every row of ``params.yaml``.

    Args:
        params_file: where ``params.yaml`` lies.
        root: the repository's root, with the code.
        output: a folder; it is made.

    Raises:
        BadSettings: ``params.yaml`` breaks the schema.
    """
    params = read_params(params_file)
    check_params(params)
    for name, text in fingerprints(params, root).items():
        stage, row = name.split("@")
        files.write_text(output / stage / f"{row}.txt", text)
