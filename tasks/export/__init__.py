"""A finished model, leaving for where PyTorch is not: as ONNX, compared before it goes.

``network`` writes the graph, ``predict`` is the file that runs it and goes with it, ``comparison``
has what is written answer the test records beside the registered model.
``tasks.promotion.exports`` does so for a version of the registry, and for a review of one.
"""
