"""How good is a model, how do two compare, and how sure is that? Evaluation and review both ask.

``predictions`` reads the test records and what a classifier says about them; ``scores`` are the
metrics, ``intervals`` how sure each is, ``slices`` the groups of records that are looked at by
themselves, ``significance`` the tests of two classifiers on the same records, ``randomisation`` the
one of any metric, ``generated`` the metrics of texts beside their references, and ``cost`` the time
and the bytes that an answer takes.
"""
