"""Tracking: the only code that imports MLflow.

``runs`` records what a stage has done, ``registry`` publishes models and keeps the alias
``candidate`` on the workspace's model. Both put what they have to say into the outbox
(``.downstream/mlflow/outbox/``) and send all that lies there: when the server is away, nothing
fails and nothing is lost, and the next run sends it.

    runs.record_run --+                  +--> run_writer
                      +--> outbox, store |
    registry.publish -+                  +--> version_writer --> packaging (served_model)

Nothing here can reach a stage's output, so none of it is part of a code fingerprint.
"""
