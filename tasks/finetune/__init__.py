"""Finetune a backbone on labelled records, beside its twin.

Reads a pretrained ``model/``, the train and validation splits of a labelled corpus and the
validation gate; writes ``model/``, ``twin/`` (the same model from random weights, trained on the
same records in the same order with the same budget) and ``history.json``. It never opens the test
split.
"""
