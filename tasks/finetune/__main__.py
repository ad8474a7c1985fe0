"""``python -m tasks.finetune MODEL``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.finetune.settings import Settings
from tasks.stage_process.process import stage_process
from tasks.tracking.runs.live import live_run

if __name__ == "__main__":
    with stage_process("finetune", Settings) as stage, live_run(**stage.about) as journal:
        from tasks.finetune.stage import run

        backbone = paths.pretrained(stage.backbone)
        splits = {part: paths.split(stage.corpus, part) for part in paths.TRAINED_ON}
        metrics = run(
            stage.row,
            backbone,
            splits,
            stage.output,
            stage.settings,
            stage.seed,
            stage.checkpoints,
            journal,
        )
        stage.metrics.update(metrics)
