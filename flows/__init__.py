"""Who runs what, and when: the DVC graph planned beforehand and run as a Prefect flow.

Nothing here knows of tokens or pixels: a stage is a name, a command, and the files and parameters
that it depends on. All of it works on the current directory, which ``cli`` sets to the workspace.

===============  ==================================================================================
module           holds
===============  ==================================================================================
``cli``          the commands of ``downstream``
``checkout``     which workspace a command acts on
``graph``        the stages of ``dvc.yaml`` in order, and who needs whom
``forecast``     the content every file will have, before anything has run
``differences``  what separates a stage from its record in ``dvc.lock``
``tracked``      the present values of tracked parameters
``restore``      what DVC's run cache can restore
``plan``         the state of every stage, and why
``plan_view``    a plan as a table, and as JSON
``process``      one stage's command, its output line by line
``record``       outputs, run cache and ``dvc.lock``, through DVC's API under its locks
``dvc_stage``    the steps of DVC's own ``reproduce`` for one stage
``schedule``     which stage may start now
``session``      what the stages of one run share
``flow``         the Prefect flow: the only module that imports Prefect
``current``      ``params.yaml`` and the code fingerprints as they are now
``prefect_settings``  Prefect's settings, made before it is imported
``results``      the table at the end of a run
===============  ==================================================================================
"""
