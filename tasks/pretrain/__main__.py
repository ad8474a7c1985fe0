"""``python -m tasks.pretrain BACKBONE``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.pretrain.settings import Settings
from tasks.stage_process.process import stage_process
from tasks.tracking.runs.live import live_run

if __name__ == "__main__":
    with stage_process("pretrain", Settings) as stage, live_run(**stage.about) as journal:
        from tasks.pretrain.stage import run

        train, validation = (paths.split(stage.corpus, part) for part in paths.TRAINED_ON)
        metrics = run(
            stage.row,
            train,
            validation,
            stage.output,
            stage.settings,
            stage.seed,
            stage.checkpoints,
            journal,
        )
        stage.metrics.update(metrics)
