"""Pretrain a backbone on raw records.

Reads the train and validation splits of a corpus and the validation gate; writes ``model/`` (which
finetune depends on) and ``metrics.json``. It never opens the test split.
"""
