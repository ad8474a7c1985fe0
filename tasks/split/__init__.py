"""split: each record of a corpus into train, validation or test.

Reads ``data/clean/<corpus>/records.parquet``. Writes ``train.parquet``, ``validation.parquet`` and
``test.parquet`` into ``data/split/<corpus>/`` (the columns of
:func:`tasks.contracts.records.split_schema`), sorted by id. A source's official split is kept; what
it lacks is decided by a hash of the content, so that a new record never moves an old one.

- ``settings``, ``stage``: the section of ``params.yaml``, and the three files;
- ``assign``: the split of one record, by its hash; ``groups``, ``dates``: by other columns of it;
- ``classes``: rare classes in every split, or what stands in place of a class (``strata``);
  ``apart``: what belongs together stays in one split, as do texts that are nearly the same
  (``near``).
"""
