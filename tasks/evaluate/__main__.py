"""``python -m tasks.evaluate MODEL``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.evaluate.settings import Settings
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("evaluate", Settings) as stage:
        from tasks.evaluate.stage import run

        splits = {part: paths.split(stage.corpus, part) for part in paths.PARTS}
        model, twin = paths.finetuned(stage.row), paths.twin(stage.row)
        metrics = run(stage.row, model, twin, splits, stage.output, stage.settings, stage.seed)
        stage.metrics.update(metrics)
