"""What runs on a laptop? Servers and deployments that start, and end, with one process.

- ``supervisor``: programs that are started, watched and stopped together
- ``up``: a Prefect server, an MLflow server and ``serve``
- ``secret``: what both servers ask for
- ``serve``: the deployments of ``prefect.yaml`` in one process
- ``worker``: a worker of a work pool, and what the one before it has left
- ``child``: a program that ends when its starter does
"""
