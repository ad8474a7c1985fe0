"""validate: the gate before every GPU stage.

Reads the three splits of a corpus. Writes ``gate.json`` (the verdict alone, which the GPU stages
depend on: a tolerance that is loosened and still holds reruns none of them) and ``result.json``
(the evidence of Great Expectations, and what was measured) into ``data/validate/<corpus>/``. A
corpus that does not pass fails the stage; its evidence is then in ``.downstream/validate/``.

- ``settings``, ``stage``: the section of ``params.yaml``, and the verdict;
- ``facts``: what is measured; ``expectations``: what is expected of it;
- ``targets``: the same of what heads learn;
- ``near``: texts that two splits share nearly as they are; ``languages``: those of the texts;
- ``evidence``: Great Expectations' judgement.
"""
