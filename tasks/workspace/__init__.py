"""How a stage is started, held and ended: its lock, its staging folder, its stage hash.

Nothing in this room reaches the bytes of an output, so nothing in it is part of a fingerprint.
"""
