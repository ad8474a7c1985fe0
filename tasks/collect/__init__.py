"""collect: every source of a corpus becomes records, as found.

Reads ``data/sources/<corpus>/`` (local files, and ``pin.json`` with the exact revision and sha256
of each remote source). Writes ``data/collect/<corpus>/records.parquet``: the columns of
:func:`tasks.contracts.records.collected_schema`, in the order of the sources and of their files.
Nothing is dropped or repaired here; what cannot be read is refused.

- ``sources``: the registry of kinds; ``source``: what each is given, and the records it yields;
- ``settings``, ``stage``: the section of ``params.yaml``, and all sources into one file;
- ``kept``: what large files held, read once;
- ``refresh``: what ``downstream refresh`` pins.
"""
