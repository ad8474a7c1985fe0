"""What can a training start from, other than random weights?

- ``kinds``: what an objective asks of such a model, one of texts or of images;
- ``published``: weights that somebody has published;
- ``own``: a backbone of this project.
"""
