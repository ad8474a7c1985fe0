"""What does DVC know? The only room of ``flows`` that imports it.

- ``internals``: DVC's names that it does not document, each with the reason
- ``graph``: the stages of ``dvc.yaml`` with their records, and who needs whom
- ``lockfile``: ``dvc.lock`` replaced as a whole, and rebuilt where it is torn
- ``rwlock``: DVC's list of who reads and writes what, without the entries of the dead
- ``params``: parameter files, parsed once, for a plan and for DVC's objects
- ``contents``: what files hold: hashes from DVC's state database, objects in its cache
- ``run_cache``: which results can be restored
- ``trees``: whether a folder in the cache may be laid out
- ``added``: whether what was ``dvc add``ed is as recorded
- ``recorder``: outputs, run cache and ``dvc.lock``, recorded as ``dvc repro`` does
"""
