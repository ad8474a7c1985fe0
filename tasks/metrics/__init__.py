"""How good is a model, and how sure is that? ``evaluate`` and ``promotion`` both ask.

``predictions`` reads the test records and what a classifier says about them; ``scores`` are the
metrics, ``intervals`` how sure each is, ``slices`` the groups of records that are looked at by
themselves, and ``significance`` the tests of two classifiers on the same records.
"""
