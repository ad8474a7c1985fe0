"""What do the machine and its programs say?

``git``: run in a folder, or asked; ``actor``: who acts; ``libraries``: the versions of those that
reach an output; ``gpus``: what NVIDIA's driver knows; ``locks``: files that
one process holds at a time; ``scratch``: files that nobody
else sees; ``memory``: how much a stage may take; ``ray_nodes``: functions run on other machines.
"""
