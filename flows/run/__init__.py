"""How is a plan carried out?

- ``set_params``: keys of ``params.yaml`` changed beforehand, comments and layout kept
- ``run_lock``: which runs are under way in this workspace
- ``session``: what the stages of one run share, and what is done for each
- ``schedule``: which stage may start now
- ``stage_command``: one stage's command, its lines and its end
- ``slurm``: the same as a job of a SLURM cluster
- ``sync``: MLflow brought in step with the workspace
- ``results``: the table at the end
"""
