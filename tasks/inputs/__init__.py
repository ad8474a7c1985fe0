"""How do records become tensors?

- ``tokenizer``: WordPiece vocabularies, trained here or published.
- ``byte_pairs``: byte-level vocabularies, which lose nothing of a text.
- ``tokenising``: the one way from texts to token ids: splits on the disk, a few texts in memory.
- ``token_cache``: where what was made of a split lies, and whether it is whole.
- ``known_tokens``: what an earlier state of a corpus has of it, which is not made again.
- ``documents``: token ids in flat arrays, and how trainings read them.
- ``pairs``: two segments of texts, for next-sentence prediction.
- ``pixels``: encoded images as pixels; ``pixel_cache``: decoded once, for several ranks.
- ``traits``: what a model has to know of the data it is built for.
"""
