"""Adapt: how does a backbone go on from another one, on records of its own?

Reads the ``model/`` of a row of ``backbones`` or ``adapted``, the train and validation splits of a
corpus and the validation gate; writes what pretrain writes, and to the same place, where finetune
finds it. Architecture, sizes and tokenizer are the backbone's (Gururangan et al., 2020, Don't stop
pretraining, https://arxiv.org/abs/2004.10964). It never opens the test split.

- ``settings``: the section of ``params.yaml``: objective and training;
- ``stage``: the training, and what is written.
"""
