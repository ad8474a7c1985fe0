"""Distill: what does a small model learn from beside its labels? From a finetuned one, its teacher.

Reads the ``model/`` of a row of ``backbones`` or ``adapted`` and the finetuned ``model/`` of a row
of ``models``. Writes ``model/``, to where a model's ``backbone`` is looked for: the backbone, and
in it ``teacher/`` and ``distill.json``. A model on such a backbone is a student: ``finetune`` lets
it learn the teacher's answers too (Hinton et al., 2015, Distilling the knowledge in a neural
network, https://arxiv.org/abs/1503.02531).

- ``settings``: the section of ``params.yaml``: temperature, and how much the teacher counts;
- ``stage``: what is put together.
"""
