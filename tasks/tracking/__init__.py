"""What is MLflow told? The only room that imports it.

``store``: opening the MLflow store, and what can go wrong with it.
``runs/``: one run for each stage that trained or evaluated something, while it runs and after.
``registry/``: a version for each content of a model, and ``candidate`` on the workspace's model.
``audit/``: who moved which alias, and who claimed what, in a log that nobody can alter unseen.

A training appends to a journal and waits for nobody; records go into an outbox. Both lie in
``.downstream/mlflow/`` and are sent by whoever opens the store next, journals first: when the
server is away, nothing fails and nothing is lost.

    metric_log --> journal --> live ----------------> run_writer --> MLflow
                      |                                   ^
                      +--------------+                    |
    runs.record_run ------+          v                    |
                          +--> outbox, store -------------+
    registry.publish -----+                               +--> version_writer --> packaging

Nothing here can reach a stage's output, so none of it is part of a code fingerprint.
"""
