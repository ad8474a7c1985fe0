"""Heads: what is predicted? A registry: one file a head, its name being the key.

``models.<row>.finetune.head`` names one; ``classification`` is the default. A head has:

- ``MODALITIES``: those of the backbones that it is put on;
- ``TASK``: the training, a class on ``tasks.training.task.Task``;
- ``read_corpus(backbone, splits)``: the records as a training reads them: which target columns, and
  how a target becomes a tensor;
- ``new_model(backbone, outputs, train, ...)``: the module on the backbone;
- ``decides(outputs)``: the metric that the epoch is chosen by, and whether more of it is better.

``classification`` is measured by ``tasks.evaluate`` and ``tasks.promotion`` themselves, which know
classes, confidence and calibration. What any other head has beside, ``docs/adding-a-head.md``
tells: loss, decoded prediction, metrics as functions of how often each record counts, baselines,
what the card shows, what is served.

Its files that are no heads: ``_corpus`` (records of train and validation), ``_targets`` (those of
a split), ``_model`` (a head on a backbone of texts), ``_task`` (its training), ``_evidence``
(predictions and metrics, for evaluate and review); of regression, ``_distribution`` (a value by how
probable it is); of generation, ``_dialogues`` (prompts and
responses as tokens) and ``_generator`` (its model, its training, how it writes).
"""
