"""What does Prefect start? The flows, and what its pages show of them.

- ``pipeline``: the flow ``downstream``, one task run a stage
- ``artifacts``: a stage's progress and its link to MLflow on Prefect's pages
- ``events``: what automations can wait for
- ``train``: the flow ``train``, at a button, and the list of deployments
- ``nightly``: the flow ``nightly``, on a schedule
- ``clone``: the clone that it works in
- ``child_run``: the pipeline of that clone, as its own code, inside the flow run
- ``pool``: stages sent to the workers of the work pool gpu
- ``stage``: the flow ``stage``, which runs one of them in such a worker
- ``review``: the flow ``review``, with a form; ``review_runs``: its runs that wait
- ``settings``: Prefect's settings, made before it is imported

Prefect is imported in this room and in ``servers`` alone.
"""
