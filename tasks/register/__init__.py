"""Register: say whether a model may be a candidate, and publish it in the registry.

Reads ``data/finetune/<model>/model`` and the evidence in ``data/evaluate/<model>/``. Writes
``data/register/<model>/version.json``: the content hash of the model and the verdict of the gates.
Publishing writes nothing there: DVC may restore this stage without running it, and
``tasks.tracking.registry.reconcile`` then publishes.
"""
