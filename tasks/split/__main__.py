"""``python -m tasks.split CORPUS``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.split.settings import Settings
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("split", Settings) as stage:
        from tasks.split.stage import run

        report = run(paths.cleaned(stage.row), stage.output, stage.settings, stage.seed)
        stage.metrics.update(report)
