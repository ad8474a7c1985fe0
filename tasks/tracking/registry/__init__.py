"""Which version of a model is registered, what it is bound to, and is it the workspace's?

``registry``: publishing a model, and bringing registry and workspace in step.
``version``: one version as the registry has it (tags, files), read once.
``version_writer``: writing a version, unless there is one of that content.
``bindings``: the hashes of data, backbone and code in ``dvc.lock`` that a version is bound to.
``packaging``, ``served_model``: a model as MLflow keeps and serves it, with the code that reads it.
"""
