"""What crosses the border between two stages, written once, and how it is read and written.

Files: ``paths`` (where every artefact lies), ``records`` (the tables), ``images`` (which ones are
decoded at all), ``files`` (whole or absent), ``lock`` (``dvc.lock``), ``acceptances`` (its log),
``yaml12`` and ``parse_cache`` (reading fast what DVC reads). Settings: ``params`` (``params.yaml``,
read and checked), ``settings`` (a stage's own), ``registry`` (a folder of entries), ``stage_run``
(what a stage is given of them).
"""
