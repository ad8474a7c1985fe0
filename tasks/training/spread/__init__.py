"""How is a training spread over machines, and over more of them or fewer than before?

- ``nodes``: the other machines of a training: started by the first, ended with it;
- ``elastic``: going on, on another number of ranks.
"""
