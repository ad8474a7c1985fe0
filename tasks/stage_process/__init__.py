"""How does one stage start, hold and end?

``process``: from ``dvc.yaml``'s command to the exit code; ``snapshot``: the copy of the code that
it runs; ``stage_hash``: the identity of a result and what it was made from, read through DVC;
``identity``: the same as it was at the stage's start, and records that say otherwise; ``tracing``:
what it really imported and opened; ``executed``: which lines it executed; ``devices``: whose turn
it is on a GPU; ``kept_results``: what was finished and is not in ``dvc.lock`` yet, beside its
checkpoints; ``failure``: why it failed, for whoever may try again; ``node``: ranks on another node.
"""
