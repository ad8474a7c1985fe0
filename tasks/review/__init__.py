"""Review: the evidence on which a model becomes champion, or does not.

Everything here is a function of predictions, metrics and settings, and decides nothing by itself:

- ``scores``, ``intervals``, ``significance``: the statistics;
- ``predictions``, ``slices``: test records, what a model says about them, and groups of them;
- ``gates``, ``serving``: what a model must reach by itself;
- ``comparison``, ``changes``: candidate and champion on the same test records (``schema``: the
  result, key by key);
- ``policy``: the decision that follows from a comparison, with its reasons;
- ``page``, ``comparison_plots``, ``examples``: the comparison as a page for a reviewer;
- ``drawing``, ``style``, ``thumbnails``: how that page and the model card look.
"""
