"""The kinds of source: one file a kind, its name being the ``kind`` in ``params.yaml``.

Each entry has ``Settings``; ``identities(settings)``, the names under which ``pin.json`` holds its
pins (none for a local source); ``resolve(settings, place)``, which makes those pins; and
``read(settings, place)``, which yields the records in a fixed order.
"""
