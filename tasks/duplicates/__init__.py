"""Which records are nearly the same?

- ``shingles``: a text as a set of runs of words, in numpy;
- ``text``: clusters of texts that share most of their shingles;
- ``sets``: how many shingles two texts share; ``columns``: numbers on the disk;
- ``pairs``: clusters of pairs of texts that are alike in both;
- ``images``: clusters of images that look alike;
- ``of_records``: clusters of records, whatever they hold;
- ``joining``: pairs made into clusters.

A cluster is what hangs together: two of its members may differ by more than the limit where others
lie between them. It depends neither on the order of the records nor on the number of threads.
"""
