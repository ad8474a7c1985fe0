"""Which code does a row run?

``rows``: the fingerprint of each row, and the one list of modules that are not hashed;
``syntax_hash``: a module's hash, which comments and formatting do not change; ``definitions``:
which function of a changed module changed; ``libraries``: the versions that a result was made
with; ``content_hash``: the hashes of what rows read, remembered.
"""
