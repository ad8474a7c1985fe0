"""``python -m tasks.clean CORPUS``: what dvc.yaml calls."""

from tasks.clean.settings import Settings
from tasks.contracts import paths
from tasks.contracts.params import ENGINE, ENGINES, read_params
from tasks.stage_process.process import stage_process

if __name__ == "__main__":
    with stage_process("clean", Settings) as stage:
        from tasks.clean.shard_work import Kept, code_of_one_record
        from tasks.clean.stage import run

        fingerprint = paths.code("clean", stage.row).read_text(encoding="utf-8")
        code = code_of_one_record(fingerprint)
        kept = Kept.of(stage.row, code, engine=read_params().get(ENGINE, ENGINES[0]))
        run(paths.collected(stage.row), stage.output, stage.settings, kept)
