"""``python -m tasks.validate CORPUS``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.validate.settings import Settings
from tasks.workspace.process import stage_process

if __name__ == "__main__":
    with stage_process("validate", Settings) as stage:
        from tasks.validate.stage import run

        train, validation, test = (paths.split(stage.row, part) for part in paths.PARTS)
        run(stage.row, train, validation, test, stage.output, stage.settings)
