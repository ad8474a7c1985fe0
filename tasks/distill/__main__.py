"""``python -m tasks.distill ROW``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.distill.settings import Settings
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("distill", Settings) as stage:
        from tasks.distill.stage import run

        run(
            paths.pretrained(stage.backbone),
            paths.finetuned(stage.teacher),
            stage.corpus,
            stage.output,
            stage.settings,
        )
