"""What runs on a laptop? Servers and deployments that start, and end, with one process.

- ``supervisor``: programs that are started, watched and stopped together
- ``up``: a Prefect server, an MLflow server and ``serve``
- ``secret``: what both servers ask for
- ``serve``: the deployments of ``prefect.yaml`` in one process
- ``child``: a program that ends when its starter does
"""
