"""clean: records repaired, identified by their content, without empty and repeated ones.

Reads ``data/collect/<corpus>/records.parquet``. Writes ``data/clean/<corpus>/records.parquet`` (the
columns of :func:`tasks.contracts.records.cleaned_schema`) and ``report.json``, where every dropped
record is counted by reason. A record that stands in two official splits stays in both: that is a
finding of ``validate``.

- ``settings``, ``stage``: the section of ``params.yaml``, and the records of a corpus cleaned;
- ``one_record``: what becomes of one record, whatever the others are; ``text``, ``images``: how
  one is repaired;
- ``shards``, ``shard_work``: that work cut by content, spread over processes and kept on the disk;
- ``rules``: what one record may be changed for, or dropped, where a setting asks for it;
- ``repeated``: equal contents, and the label that stays; ``settle``: what is decided when all
  records were seen, with ``near_duplicates`` and ``rare_classes``;
- ``report``: what is kept, dropped and changed; ``dropped``: each such record, told anew.
"""
