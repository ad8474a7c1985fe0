"""How is a training spread over more than one machine?

- ``nodes``: the other machines of a training: started by the first, ended with it.
"""
