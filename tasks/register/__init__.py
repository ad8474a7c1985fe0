"""Register: say whether a model may be a candidate, and publish it in the registry.

Reads ``data/finetune/<model>/model``, the evidence in ``data/evaluate/<model>/`` and the verdict on
its corpus, ``data/validate/<corpus>/gate.json``. Writes ``data/register/<model>/version.json``: the
content hash of the model and the verdict of the gates (``tasks/promotion/gates.py``).
Publishing writes nothing there: DVC may restore this stage without running it, and
``tasks.tracking.registry.registry.reconcile`` then publishes.
"""
