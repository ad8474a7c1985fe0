"""What can be told of a corpus beside its stages? For people; no stage reads any of it.

- ``labels``: which labels are likely wrong
"""
