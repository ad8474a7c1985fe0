"""``python -m tasks.pretrain BACKBONE``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.pretrain.settings import Settings
from tasks.tracking.live import live_run
from tasks.workspace.process import stage_process

if __name__ == "__main__":
    with stage_process("pretrain", Settings) as stage, live_run(**stage.about) as journal:
        from tasks.pretrain.stage import run

        train, validation = (paths.split(stage.corpus, part) for part in paths.TRAINED_ON)
        figures = run(
            stage.row,
            train,
            validation,
            stage.output,
            stage.settings,
            stage.seed,
            stage.checkpoints,
            journal,
        )
        stage.metrics.update(figures)
