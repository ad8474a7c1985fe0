"""Pretrain: how does a backbone learn from raw records?

Reads the train and validation splits of a corpus and the validation gate; writes ``model/`` (which
finetune depends on) and ``metrics.json``. It never opens the test split.

- ``settings``: the section of ``params.yaml``: objective, architecture, ``init``, training;
- ``init``: where a published checkpoint to start from is found;
- ``stage``: the training, and what is written.
"""
