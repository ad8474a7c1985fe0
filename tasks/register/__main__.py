"""``python -m tasks.register MODEL``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.register.settings import Settings
from tasks.workspace.process import stage_process

if __name__ == "__main__":
    with stage_process("register", Settings) as stage:
        from tasks.register.stage import run

        model, metrics = paths.finetuned(stage.row), paths.metrics(stage.row)
        card, plots = metrics.with_name("README.md"), metrics.with_name("plots")
        gate = paths.gate(stage.corpus)
        run(stage.row, model, metrics, gate, card, plots, stage.output, stage.settings)
