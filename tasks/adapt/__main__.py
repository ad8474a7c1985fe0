"""``python -m tasks.adapt ROW``: what dvc.yaml calls."""

from tasks.adapt.settings import Settings
from tasks.contracts import paths
from tasks.stage_process.process import stage_process
from tasks.tracking.runs.live import live_run

if __name__ == "__main__":
    with stage_process("adapt", Settings) as stage, live_run(**stage.about) as journal:
        from tasks.adapt.stage import run

        metrics = run(
            stage.row,
            paths.pretrained(stage.backbone),
            {part: paths.split(stage.corpus, part) for part in paths.TRAINED_ON},
            stage.output,
            stage.settings,
            stage.seed,
            stage.checkpoints,
            journal,
        )
        stage.metrics.update(metrics)
