"""``python -m tasks.clean CORPUS``: what dvc.yaml calls."""

from tasks.clean.settings import Settings
from tasks.contracts import paths
from tasks.contracts.params import ENGINE, ENGINES, read_params
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("clean", Settings) as stage:
        from tasks.clean.shard_work import Kept
        from tasks.clean.stage import run

        code = stage.about["tags"]["downstream.code"]
        kept = Kept.of(stage.row, code, engine=read_params().get(ENGINE, ENGINES[0]))
        run(paths.collected(stage.row), stage.output, stage.settings, kept)
