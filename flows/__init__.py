"""Who runs what, and when: the DVC graph planned beforehand and run as a Prefect flow.

Nothing here knows of tokens or pixels: a stage is a name, a command, and the files and parameters
that it depends on. All of it works on the current directory, which ``cli`` sets to the workspace.

=====================  ============================================================================
module                 holds
=====================  ============================================================================
``cli``                the commands of ``downstream``
``checkout``           which workspace a command acts on
``graph``              the stages of ``dvc.yaml`` in order, and who needs whom
``current``            ``params.yaml`` and the code fingerprints as they are now
``params_once``        parameters, read once a run and handed to DVC
``tracked``            the present values of tracked parameters
``forecast``           the content every file will have, before anything has run
``contents``           what files hold, in DVC's terms
``declared``           the pipeline as ``dvc.yaml`` declares it, without DVC's objects
``remembered``         results of slow parsing, kept by the hash of what was parsed
``haste``              what a short command can do without
``differences``        what separates a stage from its record in ``dvc.lock``
``reasons``            why a stage is not fresh, and what a changed fingerprint means
``restore``            what DVC's run cache can restore
``plan``               the state of every stage, and why
``plan_view``          a plan as a table, and as JSON
``plan_graph``         a plan as a Mermaid flowchart
``accept``             existing results recorded as good under new code
``clean``              what no row needs any more (``clean_view`` prints it)
``data_view``          a corpus, a split, what was dropped and why
``launch``             ``downstream run``, to its exit code
``set_params``         values in ``params.yaml`` changed, comments kept
``active_run``         the one run of a workspace that may change parameters
``session``            what the stages of one run share
``schedule``           which stage may start now
``process``            one stage's command, its output line by line
``dvc_stage``          the steps of DVC's own ``reproduce`` for one stage
``record``             outputs, run cache and ``dvc.lock``, through DVC's API under its locks
``lockfile``           ``dvc.lock`` replaced by rename, and rebuilt when torn
``flow``               the Prefect flow ``downstream``
``stage_pages``        a stage's progress and links on Prefect's pages
``results``            the table at the end of a run
``sync``               MLflow brought in step with the workspace (``sync_cli``: the command)
``events``             what automations can wait for
``prefect_settings``   Prefect's settings, made before it is imported
``temporary_server``   a server that ends with its run
``deployments``        the flow ``train``, and ``prefect.yaml``
``nightly``            the flow ``nightly`` (``clone``, ``checkout_code``: where it works)
``serve``              the deployments in one process
``review``             the Prefect flow ``review`` (``review_runs``: its runs that wait)
``review_view``        a review in the terminal (``review_markdown``: on Prefect's pages)
``history_view``       the audit log in the terminal
``…_cli``              commands that ``cli`` mounts: data, lineage, registry, review, sync
``up``                 servers and deployments on a laptop (``servers``, ``child``)
=====================  ============================================================================
"""
