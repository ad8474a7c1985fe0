"""Promotion: which version of a model is the champion, who decided so, and the way back.

Everything here works on the MLflow store that ``MLFLOW_TRACKING_URI`` names, which several
machines may share, through ``tasks.tracking``. Three aliases of a registered model matter:
``candidate`` (the workspace's model), ``champion`` (approved) and ``previous`` (champion before).
"""
