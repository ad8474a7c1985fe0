"""``python -m tasks.collect CORPUS``: what dvc.yaml calls."""

from tasks.collect.settings import Settings
from tasks.contracts import paths
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("collect", Settings) as stage:
        from tasks.collect.kept import Kept
        from tasks.collect.stage import run

        folder, pin = paths.sources(stage.row), paths.pin(stage.row)
        kept = Kept.of(stage.row, code=stage.about["tags"]["downstream.code"])
        run(stage.row, folder, pin, stage.output, stage.settings, kept)
