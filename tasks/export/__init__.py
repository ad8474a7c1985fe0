"""A registered model, leaving for where PyTorch is not: as ONNX, compared before it goes.

``network`` writes the graph, ``predict`` is the file that runs it and goes with it, ``export`` has
both score the test records and writes only what is not behind the registered model.
"""
