"""What is a model? Architectures, what lies in a model's folder, and the classifier made of it.

- ``model``: the protocols of a backbone and of a model, and how both are loaded from a folder;
- ``text``, ``image``: those of texts and of images;
- ``classifier``: a finished model on a device, which evaluation, review and serving ask for scores;
- ``wide``: a linear model of n-grams beside the deep one;
- ``frequencies``: how often each token stands in what a backbone was trained on;
- ``attribution``: which words or pixels spoke for a class;
- ``initial/``: what a training starts from, if not from random weights;
- ``origin``: what a model's weights have seen before it was finetuned;
- ``transformer``: how transformers' architectures load, attend, and are saved with a head;
- ``text_layers``, ``image_layers``: the torch modules of our own architectures;
- ``architectures/``: the registry, one file an architecture, its name being the key.
"""
