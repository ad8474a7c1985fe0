"""What can a person type? The commands of ``downstream``, and what they print.

- ``app``: the command line, from its words to the exit code; the commands that need no file
- ``plan``: a plan as a table, a flowchart or JSON
- ``run``: ``downstream run``, from its options to the exit code
- ``data``: a corpus, its splits, what was dropped and why, its likely wrong labels,
  its profile, its Data Docs
- ``review``: candidates beside their champions, and decisions
- ``registry``: ``rollback`` and ``history``
- ``export``: a version for ONNX Runtime
- ``generate``: the response of a model with that head
- ``lineage``: from a version back to its sources
- ``prune``: ``downstream clean``

Libraries that take long to load are imported where they are used: a plan must not wait for torch,
MLflow or Prefect.
"""
