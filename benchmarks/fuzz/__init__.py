"""A fuzzer over planted valid files and structures: ``python -m benchmarks.fuzz``.

- ``mutations``: what is done to bytes and to structures;
- ``sources``, ``params``, ``pins``, ``checkpoints``, ``requests``, ``audit``, ``commands``: the
  kinds of input, each with its valid files, how a case is written, and the code that is given it;
- ``cases``: one case in a process of its own, and what must hold of it;
- ``__main__``: the command line, the workers and the table.
"""
