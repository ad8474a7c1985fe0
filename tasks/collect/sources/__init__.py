"""The kinds of source: one file a kind, its name being the ``kind`` in ``params.yaml``.

Each entry has ``Settings``; ``identities(settings)``, the names under which ``pin.json`` holds its
pins (none for a local source); ``resolve(settings, context)``, which makes those pins; and
``read(settings, context)``, which yields the records in a fixed order.
"""
