"""The work: one folder a stage, and the rooms that several stages share.

``collect``, ``clean``, ``split``, ``validate``, ``pretrain``, ``adapt``, ``finetune``, ``evaluate``
and ``register`` are the stages, ``code`` is the one that writes fingerprints. The rooms beside
them:

- ``stage_process``: how does one stage start, hold and end?
- ``fingerprint``: which code does a row run?
- ``inputs``: how do records become tensors?
- ``models``: what is a model?
- ``heads``: what is predicted?
- ``objectives``: what can be learnt?
- ``training``: how is it learnt, one step after another?
- ``metrics``: how good is a model, and how sure is that?
- ``reports``: how does a page for people look?
- ``promotion``: who becomes champion?
- ``export``: how does a model leave for where PyTorch is not?
- ``tracking``: what is MLflow told?
- ``remote``: what comes from outside?
- ``contracts``: what crosses the border between two stages?
- ``machine``: what do git, the user, the libraries and the driver say?
- ``errors``, ``progress``, ``parent``: mistakes of the user, lines for people, whose end is ours
- ``plain_text``: how the text of others is made fit to be shown
- ``interpreter``: which Python and which copy of the code a stage is started with
- ``checks``: what a training is ended for
"""

from tasks.interpreter import begin

begin()
