"""Who moved which alias of a registered model, when and why; and who claimed what.

``run``: the MLflow run that keeps all of it, in which a key is written once.
``log``: the log, the claims and the aliases, read once into an ``AuditLog``, and what is wrong.
``writer``: appending an entry, marking it as applied, claiming a subject.
``heads``: the newest entry of each log, kept outside of MLflow.
``aliases``: moving an alias together with its entry; completing and recording what others did.
"""
