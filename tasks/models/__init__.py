"""Models: architectures, how they are saved, and the classifier that evaluation and serving use.

``architectures/`` is a registry: one file an architecture, its name being the key. Text
architectures are transformers'; image architectures are ours, saved in the same way
(``config.json``, ``model.safetensors``). Beside them lies ``downstream.json``, which says which
architecture a folder holds.
"""
