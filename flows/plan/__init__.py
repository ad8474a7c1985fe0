"""What would run, and why? Known before anything is paid.

- ``fingerprints``: ``params.yaml`` as it is now: the code of its rows, and their devices
- ``forecast``: the content that every file will have when its stage's turn comes
- ``reasons``: what separates a stage from its record, and in words
- ``plan``: the state of every stage
"""
