"""How is a training spread over machines, over more or fewer ranks than before, a model over ranks?

- ``nodes``: the other machines of a training: started by the first, ended with it;
- ``elastic``: going on, on another number of ranks;
- ``shards``: a model of which each rank holds a part; ``shard_checkpoints``: each writes its own.
"""
