"""The registry of training objectives; the file's name is the key in ``params.yaml``.

Each module has a class ``Settings``, checked without importing torch, and
``prepare(...)``, which returns a task for ``tasks.training.loop.train``:

- ``model``: the module to train;
- ``lengths``: the cost of each example, in tokens (1 for images);
- ``batch(indices, generator)``: the tensors of some examples, a pure function of its arguments;
- ``loss(batch)``: a scalar to minimise;
- ``validate()``: figures on the validation split;
- ``save(folder)``: the backbone.
"""
