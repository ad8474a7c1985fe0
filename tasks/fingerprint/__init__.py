"""Which code does a row run?

- ``rows``: the fingerprint of each row;
- ``modules``: the modules that a row reaches, the files beside them, and what is not hashed;
- ``references``: what a module's text refers to;
- ``syntax_hash``: a module's hash, which comments, formatting and other harmless edits leave:
  ``harmless`` (texts of errors and progress), ``local_names``, ``settings_schema``;
- ``definitions``: which function of a changed module changed;
- ``libraries``: the versions that a result was made with;
- ``content_hash``: the hashes of what rows read, remembered.
"""
