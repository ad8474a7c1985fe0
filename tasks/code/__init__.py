"""The ``code`` stage: one fingerprint a row, which every other stage depends on.

Reads ``params.yaml`` and the sources of ``tasks/``; writes ``data/code/<stage>/<row>.txt``. It is
cheap, runs whenever code or parameters changed, and checks the whole of ``params.yaml`` before
anything is paid for.
"""
