"""``python -m tasks.validate CORPUS``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.stage_process.process import stage_process
from tasks.validate.settings import Settings

if __name__ == "__main__":
    with stage_process("validate", Settings) as stage:
        from tasks.validate.stage import run

        train, validation, test = (paths.split(stage.row, part) for part in paths.PARTS)
        metrics = run(stage.row, train, validation, test, stage.output, stage.settings)
        stage.metrics.update(metrics)
