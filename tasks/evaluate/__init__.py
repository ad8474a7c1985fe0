"""Evaluate: how good is a finetuned model, on records that nothing before has seen?

Reads ``data/finetune/<model>/model`` and ``twin``, and all three splits of the model's corpus: it
is the only stage that opens ``test.parquet``. Trains nothing but linear baselines, on
the records of ``train.parquet`` that the model was finetuned on.

Writes ``data/evaluate/<model>/``: ``metrics.json``, ``predictions.parquet``, ``plots/`` and the
model card, ``README.md`` and ``README.html``.

``stage`` is the order of it all; ``evaluation`` measures, ``baselines`` and, of texts,
``nb_svm`` are what the model must beat, ``repeats`` are further pairs of model and twin,
``attributions`` are the records that the card explains, ``plots`` its plots, ``card`` the card
itself (``card.md.j2``, ``card.html.j2``), ``headed`` the same of a model with another head than
classification (its card: ``headed.md.j2``), ``settings`` the knobs.
"""
