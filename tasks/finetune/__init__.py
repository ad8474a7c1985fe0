"""Finetune a backbone on labelled records, beside its twin.

Reads a pretrained ``model/``, the train and validation splits of a labelled corpus and the
validation gate. It never opens the test split. Writes:

- ``model/``: the classifier;
- ``twin/``: the same model from random weights, trained on the same records in the same order with
  the same budget, all of its weights at the full rate in every mode;
- ``labels.parquet``: the ``id`` and ``label`` of each record that both were trained on;
- ``folds.parquet``: with ``folds``, what each fold's model says about the records it was not
  shown; without, no rows;
- ``history.json``.
"""
