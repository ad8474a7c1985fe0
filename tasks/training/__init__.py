"""How does a model learn, one step after another, and go on exactly where it was stopped?

- ``task``: what an objective gives the loop; ``settings``: how long and how fast;
- ``loop``: the one training loop; ``evaluation``: the one evaluation loop;
- ``batches``: which examples stand in which batch; ``determinism``: seeds, threads, algorithms;
- ``optimizers``: how a loss becomes a step; ``meter``: its mean, and the throughput;
- ``checkpoints``: where a training's state is written; ``preemption``: SIGTERM;
- ``watch``: validation on the way, the best weights, utilisation;
- ``ranks``: the processes that train together; ``launcher``: how several are started;
- ``spread``: more than one machine.
"""
