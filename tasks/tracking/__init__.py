"""Tracking: the only code that imports MLflow.

``live`` tells of a training while it runs: the training appends to a journal, a thread sends it.
``runs`` records what a stage has done, ``registry`` publishes models and keeps the alias
``candidate`` on the workspace's model. Both put what they have to say into the outbox
(``.downstream/mlflow/outbox/``) and send all that lies there, journals first: when the server is
away, nothing fails and nothing is lost, and the next command sends it.

    curve --> journal --> live ----> live_writer --+
                 |                                 |
                 +-------------+                   |
    runs.record_run --+        v                   +--> run_writer
                      +--> outbox, store ----------+
    registry.publish -+                            +--> version_writer --> packaging (served_model)

Nothing here can reach a stage's output, so none of it is part of a code fingerprint.
"""
