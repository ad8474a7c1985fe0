"""The command ``downstream sync``."""


def sync() -> int:
    """Make MLflow agree with the workspace, and say what that took.

    Sends what waits, creates the versions that are missing, puts `candidate` on the model that
    lies in data/, and records the results that DVC has restored. Reads data/, dvc.lock and
    .downstream/mlflow/; writes to MLflow.
    """
    from flows.run.sync import synchronize

    return synchronize()
