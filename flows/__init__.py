"""Who runs what, and when: the DVC graph planned beforehand and run as a Prefect flow.

Nothing here knows of tokens or pixels: a stage is a name, a command, and the files and parameters
that it depends on. All of it works on the current directory, which ``checkout`` sets to the
workspace.

- ``cli``: what can a person type?
- ``terminal``: how is anything printed?
- ``checkout``: which workspace does a command act on?
- ``orchestration``: what does Prefect start?
- ``run``: how is a plan carried out?
- ``plan``: what would run, and why?
- ``dvc``: what does DVC know?
- ``servers``: what runs on a laptop?
- ``upkeep``: what can be mended by hand?
"""
