"""Would changed code give the same bytes? A short run of the same row, with given code.

- ``workspace``: a slice of the row's records and its settings, shrunk;
- ``driver``: the script that runs the stage there and notes which of its code is executed;
- ``probe``: one short run from outside, and where its digest is kept;
- ``changes``: which changed code a short run did not execute: equal bytes say nothing of it.
"""
