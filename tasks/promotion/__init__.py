"""Who becomes champion, and the way back.

Everything here works on the MLflow store that ``MLFLOW_TRACKING_URI`` names, which several
machines may share, through ``tasks.tracking``. Three aliases of a registered model matter:
``candidate`` (the workspace's model), ``champion`` (approved) and ``previous`` (champion before).

``gates`` are what a model must reach by itself, ``policy`` says what follows from a comparison,
``settings`` are the knobs of both; ``exports`` writes a version for ONNX Runtime, once it
answers as well as before; ``comparison/`` shows how two models differ, ``review/`` who
decided what on which evidence. ``versions`` fetches a version's files and checks them, ``rollback``
makes an earlier champion the champion again, ``lineage`` follows a version back to its sources.
"""
