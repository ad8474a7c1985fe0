"""What can be told of a corpus beside its stages? For people; no stage reads any of it.

- ``labels``: which labels are likely wrong
- ``left_out``: what is in no split, and why
- ``docs``: its Data Docs, Great Expectations' pages on what is expected of it
"""
