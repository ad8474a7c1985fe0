"""What can be mended by hand?

``accept``: outputs recorded as good under changed code; ``upgrade``: all results of an earlier
version of this project; ``prune``: what is left of rows that are gone.
"""
