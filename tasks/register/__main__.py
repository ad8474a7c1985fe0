"""``python -m tasks.register MODEL``: what dvc.yaml calls."""

from tasks.contracts import paths
from tasks.register.settings import Settings
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("register", Settings) as stage:
        from tasks.register.stage import run

        model, evidence = paths.finetuned(stage.row), paths.stage_output("evaluate", stage.row)
        run(stage.row, model, evidence, paths.gate(stage.corpus), stage.output, stage.settings)
