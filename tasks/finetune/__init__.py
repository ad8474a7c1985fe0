"""Finetune: how does a backbone learn the labels of a corpus, beside its twin?

Reads a pretrained ``model/``, the train and validation splits of a labelled corpus and the
validation gate. It never opens the test split. Writes:

- ``model/``: the classifier;
- ``twin/``: the same model from random weights, trained on the same records in the same order with
  the same budget, all of its weights at the full rate in every mode; with ``repeats``, the further
  pairs of ``model/`` and ``twin/`` as ``repeats/<n>/`` in it;
- ``labels.parquet``: the ``id`` and ``label`` of each record that both were trained on;
- ``folds.parquet``: with ``folds``, what each fold's model says about the records it was not
  shown; without, no rows;
- ``history.json``.

Its files:

- ``settings``: the section of ``params.yaml``; ``stage``: model, twin and folds are trained, saved;
- ``corpus``: which of the records a training is given (few labels);
- ``task``: one training: a head on the backbone, and how the settings have it learn;
- ``callbacks``: when a training ends (early stopping);
- only where the settings ask for it: ``lora`` (adapters), ``layer_decay`` (rates by depth),
  ``folds`` (cross-validation), ``frozen`` (a backbone that does not learn, computed once),
  ``logistic`` (its head at the minimum of the loss), ``weighted`` (what the weighted mean of word
  vectors leaves out), ``wide`` (a linear part beside the deep one), ``refit`` (the last training,
  on train and validation), ``distill`` (what a teacher answers, beside the labels).
"""
